/*
 * Decides how files become statements and statements find their word: blocks, variables, included
 * files and the bounds of all of them. What a statement means is said in the schema; what can be
 * seen only at the end, in check.c.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/schema.h"

#define VARIABLE_NAME_BYTES_MAX 40

enum event { EVENT_STATEMENT, EVENT_CLOSE, EVENT_END };

static struct level *top(struct reading *r)
{
    assert(r->depth > 0);
    return &r->levels[r->depth - 1];
}

/* ---- files ---- */

static bool push_file(struct reading *r, const char *path, const struct config_place *from)
{
    static const struct config_place beginning = {.line = 1, .column = 1};
    char why[256] = "";
    struct slice text = {0};
    const struct config_place place = from == NULL ? beginning : *from;

    if (r->file_count == FILES_MAX) {
        COMPLAIN(r, place, NULL, "more than %d files are too many", FILES_MAX);
        return false;
    }
    for (size_t i = 0; i < r->file_count; i++) {
        if (strcmp(r->files[i].path, path) == 0) {
            bool open = false;
            for (size_t j = 0; j < r->depth; j++) {
                open = open || r->levels[j].file == i;
            }
            COMPLAIN(r, place, NULL, open ? "%s includes itself" : "%s was included before", path);
            return false;
        }
    }
    if (r->depth == INCLUDE_DEPTH_MAX) {
        COMPLAIN(r, place, NULL, "files include each other more than %d deep", INCLUDE_DEPTH_MAX);
        return false;
    }
    bool good = r->loader->read(r->loader->context, path, &text, why, sizeof(why));

    if (good && text.length > FILES_BYTES_MAX - r->file_bytes) {
        snprintf(why, sizeof(why), "with it the configuration is larger than 64MiB");
        good = false;
    }
    /* The main file is in the list in any case, so that what is said about it has a path. */
    if (!good && from != NULL) {
        COMPLAIN(r, place, NULL, "%s cannot be read: %s", path,
                 why[0] == '\0' ? "no reason is known" : why);
        return false;
    }
    if (r->file_count == r->file_capacity) {
        void *larger =
            arena_grow(r->notes, r->files, r->file_count, &r->file_capacity, sizeof(*r->files));
        if (larger == NULL) {
            return false;
        }
        r->files = larger;
    }
    const char *kept = arena_text(r->notes, slice_of_text(path));

    r->files[r->file_count++] = (struct config_file){kept, good ? text : (struct slice){0}};
    if (!good) {
        COMPLAIN(r, place, NULL, "%s cannot be read: %s", path,
                 why[0] == '\0' ? "no reason is known" : why);
        return false;
    }
    const char *stroke = strrchr(kept, '/');
    size_t folder = stroke == NULL ? 0 : (size_t)(stroke - kept) + 1;
    struct slice folder_text = {(const uint8_t *)kept, folder};

    r->file_bytes += text.length;
    r->levels[r->depth++] = (struct level){
        .lexer = lexer_over(text),
        .file = (uint32_t)(r->file_count - 1),
        .folder = arena_text(r->notes, folder_text),
    };
    return true;
}

static bool has_wildcard(const char *pattern)
{
    return strpbrk(pattern, "*?[") != NULL;
}

static void add_pending(struct reading *r, struct level *level, const char *path, size_t capacity)
{
    if (level->pending == NULL) {
        level->pending = arena_take(r->notes, capacity * sizeof(*level->pending));
    }
    if (level->pending != NULL && level->pending_count < capacity) {
        level->pending[level->pending_count++] = arena_text(r->notes, slice_of_text(path));
    }
}

void take_include(struct reading *r, const struct statement *s)
{
    const char **paths = malloc((FILES_MAX + 1) * sizeof(*paths));
    struct level *level = top(r);

    level->pending = NULL;
    level->pending_count = level->pending_next = 0;
    level->pending_place = s->words[1].place;
    if (paths == NULL) {
        r->notes->exhausted = true;
        return;
    }
    for (size_t i = 1; i < s->count; i++) {
        char pattern[2 * WORD_BYTES_MAX + 1];
        const struct word *word = &s->words[i];
        bool absolute = word->text.length > 0 && word->text.data[0] == '/';
        int length = snprintf(pattern, sizeof(pattern), "%s%.*s", absolute ? "" : level->folder,
                              (int)word->text.length, (const char *)word->text.data);
        if (word->text.length == 0 || length < 0 || (size_t)length >= sizeof(pattern)) {
            COMPLAIN(r, word->place, NULL, "this is not the name of a file");
            continue;
        }
        if (!has_wildcard(pattern)) {
            add_pending(r, level, pattern, FILES_MAX + 1);
            continue;
        }
        size_t count = r->loader->match == NULL
                           ? 0
                           : r->loader->match(r->loader->context, pattern, paths, FILES_MAX + 1);
        for (size_t j = 0; j < count && j < FILES_MAX + 1; j++) {
            add_pending(r, level, paths[j], FILES_MAX + 1);
        }
    }
    free(paths);
}

/* ---- statements ---- */

static struct config_place token_place(const struct level *level, const struct token *t)
{
    return (struct config_place){level->file, t->line, t->column, (uint32_t)t->raw.length};
}

static void complain_token(struct reading *r, const struct level *level, const struct token *t)
{
    const struct config_place at = {level->file, t->line, t->problem_column, t->problem_length};

    COMPLAIN(r, at, t->advice, "%s", t->problem);
}

static void add_word(struct reading *r, struct level *level, const struct token *t)
{
    struct statement *s = &r->statement;
    struct config_place place = token_place(level, t);

    if (t->problem != NULL) {
        if (!s->broken) {
            complain_token(r, level, t);
        }
        s->broken = true;
        return;
    }
    if (s->count == STATEMENT_WORDS_MAX) {
        if (!s->broken) {
            COMPLAIN(r, place, "divide it into several lines",
                     "more than %d words in one statement", STATEMENT_WORDS_MAX);
        }
        s->broken = true;
        return;
    }
    uint8_t decoded[WORD_BYTES_MAX];
    struct slice text = lexer_word(t, decoded);

    if (t->quoted) {
        text = (struct slice){(const uint8_t *)arena_text(r->notes, text), text.length};
    }
    s->words[s->count++] = (struct word){.text = text, .place = place, .quoted = t->quoted};
}

static struct token next_token(struct level *level)
{
    if (level->has_kept) {
        level->has_kept = false;
        return level->kept;
    }
    return lexer_next(&level->lexer);
}

static void keep_token(struct level *level, const struct token *t)
{
    level->kept = *t;
    level->has_kept = true;
}

static void open_block(struct reading *r, struct level *level, const struct token *t)
{
    struct statement *s = &r->statement;

    s->opens = true;
    s->brace = token_place(level, t);
    if (s->count == 0 && !s->broken) {
        COMPLAIN(r, s->brace, "such as: site osaka {",
                 "a block begins with its word, on the same line");
        s->broken = true;
    }
    if (level->block_depth < BLOCK_DEPTH_MAX) {
        level->openers[level->block_depth] = s->brace;
    } else if (!level->told_depth) {
        COMPLAIN(r, s->brace, NULL, "blocks are nested more than %d deep", BLOCK_DEPTH_MAX);
        level->told_depth = true;
    }
    level->block_depth++;
}

/* The next statement is in r->statement; a block that a file leaves open is closed with it. */
static enum event next_event(struct reading *r)
{
    struct level *level = top(r);
    struct statement *s = &r->statement;

    s->count = 0;
    s->broken = s->opens = false;
    for (;;) {
        struct token t = next_token(level);
        bool begun = s->count > 0 || s->broken;
        switch (t.kind) {
        case TOKEN_WORD:
            add_word(r, level, &t);
            break;
        case TOKEN_COMMENT:
            if (t.problem != NULL) {
                complain_token(r, level, &t);
            }
            break;
        case TOKEN_SEMICOLON:
        case TOKEN_NEWLINE:
            if (begun) {
                return EVENT_STATEMENT;
            }
            break;
        case TOKEN_OPEN:
            open_block(r, level, &t);
            return EVENT_STATEMENT;
        case TOKEN_CLOSE:
            if (begun) {
                keep_token(level, &t);
                return EVENT_STATEMENT;
            }
            if (level->block_depth == 0) {
                COMPLAIN(r, token_place(level, &t), NULL, "no block is open that this could close");
                break;
            }
            level->block_depth--;
            return EVENT_CLOSE;
        case TOKEN_END:
            if (begun) {
                keep_token(level, &t);
                return EVENT_STATEMENT;
            }
            if (level->block_depth > 0) {
                level->block_depth--;
                if (level->block_depth < BLOCK_DEPTH_MAX) {
                    COMPLAIN(r, level->openers[level->block_depth], "write } at its end",
                             "this block is not closed");
                }
                keep_token(level, &t);
                return EVENT_CLOSE;
            }
            return EVENT_END;
        }
    }
}

/* ---- variables ---- */

static bool is_variable_name(struct slice name)
{
    for (size_t i = 0; i < name.length; i++) {
        uint8_t c = name.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && (i == 0 || ((c < '0' || c > '9') && c != '-'))) {
            return false;
        }
    }
    return name.length > 0 && name.length <= VARIABLE_NAME_BYTES_MAX;
}

void take_set(struct reading *r, const struct statement *s)
{
    const struct word *name = &s->words[1];
    char shown[VALUE_SHOWN_BYTES + 4];

    if (name->quoted || !is_variable_name(name->text)) {
        COMPLAIN(r, name->place, "letters, digits, '_' and '-', such as: set branch 10.2.0.0/16",
                 "'%s' cannot be the name of a variable", value_shown(name->text, shown));
        return;
    }
    const struct variable *before = table_find(&r->variables, name->text);

    if (before != NULL) {
        COMPLAIN(r, name->place, NULL, "'%s' is set twice, first on line %u",
                 value_shown(name->text, shown), (unsigned)before->place.line);
        return;
    }
    size_t count = s->count - 2;
    struct variable *variable = arena_take(r->notes, sizeof(*variable));
    struct word *words = arena_take(r->notes, count * sizeof(*words));

    if (variable == NULL || words == NULL) {
        return;
    }
    memcpy(words, &s->words[2], count * sizeof(*words));
    *variable = (struct variable){name->place, words, count};
    if (!table_add(&r->variables, name->text, variable)) {
        COMPLAIN(r, name->place, NULL, "more than %d variables are too many", VARIABLES_MAX);
    }
}

/* Puts the words of variables in the place of their names; false when something in it was told. */
static bool expand(struct reading *r)
{
    struct statement *s = &r->statement;
    bool is_set = slice_equal_text(s->words[0].text, "set") && !s->words[0].quoted;
    size_t count = 0;
    bool changed = false;

    for (size_t i = 0; i < s->count; i++) {
        const struct word *word = &s->words[i];
        bool use = i > 0 && !(is_set && i == 1) && !word->quoted && word->text.length > 1 &&
                   word->text.data[0] == '$';
        struct slice name = {word->text.data + 1, word->text.length - (use ? 1 : 0)};
        const struct variable *variable = NULL;
        if (use) {
            if (name.length <= VARIABLE_NAME_BYTES_MAX) {
                variable = table_find(&r->variables, name);
            }
            if (variable == NULL) {
                char shown[VALUE_SHOWN_BYTES + 4];
                COMPLAIN(r, word->place, "set it above its first use: set NAME VALUE",
                         "the variable '%s' is not set", value_shown(name, shown));
                return false;
            }
        }
        size_t more = variable == NULL ? 1 : variable->count;
        if (more > STATEMENT_WORDS_MAX - count) {
            COMPLAIN(r, word->place, NULL, "more than %d words in one statement",
                     STATEMENT_WORDS_MAX);
            return false;
        }
        for (size_t j = 0; j < more; j++) {
            r->expanded[count] = variable == NULL ? *word : variable->words[j];
            if (variable != NULL) {
                r->expanded[count].place = word->place;
                r->expanded[count].expanded = true;
            }
            count++;
        }
        changed = changed || variable != NULL;
    }
    if (changed) {
        memcpy(s->words, r->expanded, count * sizeof(*s->words));
        s->count = count;
    }
    return true;
}

/* ---- what a statement is ---- */

static void read_statement(struct reading *r)
{
    struct statement *s = &r->statement;
    enum schema_scope scope = r->scope;

    if (r->skipping > 0) {
        r->skipping += s->opens ? 1 : 0;
        return;
    }
    if (!s->broken && expand(r)) {
        const struct schema_word *w =
            s->words[0].quoted ? NULL : schema_find(scope, s->words[0].text);
        if (w == NULL) {
            schema_complain_unknown(r, scope, &s->words[0]);
        } else {
            schema_take(r, w, s);
        }
    }
    /* A block that nobody took is passed over to its end. */
    if (s->opens && r->scope == scope) {
        r->skipping++;
    }
}

static void close_block(struct reading *r)
{
    if (r->skipping > 0) {
        r->skipping--;
    } else {
        assert(r->scope != SCOPE_GATEWAY);
        if (r->scope == SCOPE_SITE) {
            site_end(r);
        } else if (r->scope == SCOPE_ACCESS) {
            access_end(r);
        } else {
            manual_end(r);
        }
    }
}

/* False when reading ended before the end of the files. */
static bool read_files(struct reading *r)
{
    while (r->depth > 0) {
        struct level *level = top(r);
        if (r->notes->exhausted || r->arena->exhausted) {
            return false;
        }
        if (r->diagnoses.errors > ERRORS_MAX) {
            const struct config_place here = {
                .file = level->file, .line = level->lexer.line, .column = 1};
            COMPLAIN(r, here, NULL, "more than %d errors: reading ended here", ERRORS_MAX);
            return false;
        }
        if (level->pending_next < level->pending_count) {
            const char *path = level->pending[level->pending_next++];
            struct config_place place = level->pending_place;
            (void)push_file(r, path, &place);
            continue;
        }
        switch (next_event(r)) {
        case EVENT_STATEMENT:
            read_statement(r);
            break;
        case EVENT_CLOSE:
            close_block(r);
            break;
        case EVENT_END:
            r->depth--;
            break;
        }
    }
    return true;
}

/* ---- the whole ---- */

static struct config_result *conclude(struct reading *r)
{
    struct config_result *result = arena_take(r->notes, sizeof(*result));

    if (result == NULL || r->arena->exhausted) {
        arena_free(r->arena);
        arena_free(r->notes);
        return NULL;
    }
    diagnoses_sort(&r->diagnoses);
    *result = (struct config_result){
        .diagnostics = r->diagnoses.list,
        .diagnostic_count = r->diagnoses.count,
        .error_count = r->diagnoses.errors,
        .warning_count = r->diagnoses.warnings,
        .files = r->files,
        .file_count = r->file_count,
        .comparisons = r->comparisons,
        .arena = r->notes,
    };
    if (r->diagnoses.errors == 0) {
        r->config->arena = r->arena;
        result->config = r->config;
    } else {
        arena_free(r->arena);
    }
    return result;
}

struct config_result *config_read_within(const char *path, const struct config_loader *loader,
                                         size_t limit_bytes)
{
    static const uint8_t table_key[16] = "config variables";
    struct reading *r = calloc(1, sizeof(*r));

    if (r == NULL) {
        return NULL;
    }
    r->loader = loader;
    r->notes = arena_new(limit_bytes);
    r->arena = arena_new(limit_bytes);
    r->config = r->arena == NULL ? NULL : arena_take(r->arena, sizeof(*r->config));
    if (r->notes == NULL || r->config == NULL) {
        arena_free(r->notes);
        arena_free(r->arena);
        free(r);
        return NULL;
    }
    r->diagnoses.arena = r->notes;
    table_init(&r->variables, table_key, VARIABLES_MAX);
    table_init(&r->proposals, table_key, 0);
    schema_set_defaults_of_gateway(r->config);
    if (push_file(r, path, NULL) && read_files(r)) {
        check_all(r);
    }
    table_fini(&r->variables);
    table_fini(&r->proposals);
    struct config_result *result = conclude(r);

    free(r);
    return result;
}

struct config_result *config_read(const char *path, const struct config_loader *loader)
{
    return config_read_within(path, loader, ARENA_BYTES_MAX);
}

void config_result_free(struct config_result *result)
{
    if (result == NULL) {
        return;
    }
    config_free(result->config);
    arena_free(result->arena);
}

struct config *config_take(struct config_result *result)
{
    struct config *config = result->config;

    result->config = NULL;
    return config;
}

void config_free(struct config *config)
{
    if (config != NULL) {
        arena_free(config->arena);
    }
}
