/* Decides how the words of the language are explained: the manual page sekisho.conf(5) and `sekisho
 * help WORD`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/schema.h"

#define HELP_COLUMNS 78

/* scdoc reads '_', '*', '\' and line beginnings as marks. */
static void add_escaped(struct sheet *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (strchr("_*\\<>#[]~", *text) != NULL) {
            sheet_add(out, "\\");
        }
        sheet_add_slice(out, (struct slice){(const uint8_t *)text, 1});
    }
}

static void add_word(struct sheet *out, const struct schema_word *w)
{
    sheet_addf(out, "*%s* ", w->word);
    add_escaped(out, w->arguments);
    sheet_add(out, "\n\t");
    add_escaped(out, w->meaning);
    if (w->repeats && !w->internal) {
        sheet_add(out, " May be said several times.");
    }
    if (w->standard != NULL) {
        sheet_add(out, "++\nDefault: ");
        add_escaped(out, w->standard);
        sheet_add(out, ".");
    }
    sheet_add(out, "++\nExample: *");
    add_escaped(out, w->example);
    sheet_add(out, w->block ? " ... }*\n\n" : "*\n\n");
}

static void add_scope(struct sheet *out, enum schema_scope scope)
{
    const struct schema_word *w;

    for (size_t i = 0; (w = schema_at(i)) != NULL; i++) {
        if (w->scope == scope) {
            add_word(out, w);
        }
    }
}

static const char *const kinds[] = {
    [TRANSFORM_ENCRYPTION] = "Ciphers",
    [TRANSFORM_PRF] = "Pseudo-random functions (ike only)",
    [TRANSFORM_INTEGRITY] = "Integrity",
    [TRANSFORM_KEY_EXCHANGE] = "Key exchanges",
    [TRANSFORM_ESN] = "Sequence numbers (esp only)",
};

static void add_algorithms(struct sheet *out)
{
    const struct algorithm *a;
    unsigned type = 0;

    for (size_t i = 0; (a = algorithm_at(i)) != NULL; i++) {
        if (a->type != type) {
            type = a->type;
            sheet_addf(out, "*%s*\n\n", type < ARRAY_LENGTH(kinds) ? kinds[type] : "Others");
        }
        for (size_t k = 0; k == 0 || (a->key_bits_on_wire && k < ALGORITHM_KEY_SIZES_MAX); k++) {
            struct transform t = {a->type, a->id, a->key_bits_on_wire ? a->key_bits[k] : 0};
            char word[32];
            char title[64];
            if (k > 0 && t.key_bits == 0) {
                break;
            }
            transform_word(&t, word, sizeof(word));
            transform_title(&t, title, sizeof(title));
            sheet_add(out, "- ");
            add_escaped(out, word);
            sheet_add(out, ": ");
            add_escaped(out, title);
            if (a->strength == STRENGTH_LEGACY) {
                sheet_add(out, ". Needs the word *legacy*: ");
                add_escaped(out, a->why_weak);
            }
            sheet_add(out, "\n");
        }
        const struct algorithm *next = algorithm_at(i + 1);
        if (next == NULL || next->type != type) {
            sheet_add(out, "\n");
        }
    }
}

static const char heading[] =
    "sekisho.conf(5)\n\n"
    "# NAME\n\nsekisho.conf - configuration of the VPN gateway sekishod(8)\n\n"
    "# DESCRIPTION\n\n"
    "The file says what is wanted: who we are, which networks are behind us, and which sites there "
    "are. All else has a default, and *sekisho show config --all* shows it.\n\n"
    "A statement is a word with its arguments and ends with its line or with ';'. Some words have "
    "a "
    "block of further statements in braces; the opening brace stands on the line of its word. A "
    "'#' "
    "behind white space begins a comment. A word in double quotes may contain anything; "
    "in it, \\\" is a quote and \\\\ a backslash. A word in quotes is never a word of the "
    "language: "
    "*identity any* lets everybody in, *identity \"any\"* only who has that name.\n\n"
    "Times have a unit: *30s*, *5m*, *8h*, *2d*, *1w*, *500ms*. Sizes have one too: *500MiB*, "
    "*4GiB*, *1500B*. Networks have no bits behind their prefix: *10.2.0.0/16*, *2001:db8::/32*; "
    "without a prefix it is a single host. Host names are looked up when they are dialled. *@name* "
    "is a secret that is kept outside of the file.\n\n"
    "Weak algorithms need the word *legacy*. All mistakes of all files are told at once, and "
    "nothing "
    "is changed unless there is none.\n\n"
    "# EXAMPLE\n\n"
    "```\n"
    "gateway tokyo.example.jp             # our name\n"
    "lan     10.1.0.0/16                  # networks behind us\n\n"
    "site osaka {\n"
    "  peer    osaka.example.jp\n"
    "  network 10.2.0.0/16\n"
    "  key     @osaka                     # made by: sekisho secret new osaka\n"
    "}\n"
    "```\n\n"
    "# WORDS OF THE GATEWAY\n\n";

static const char people[] =
    "# WORDS OF A REMOTE-ACCESS BLOCK\n\n"
    "People who come from anywhere; here with the name and the password of each, and a key that "
    "all of them have:\n\n"
    "```\n"
    "remote-access staff {\n"
    "  via        xauth\n"
    "  group-name staff\n"
    "  key        @staff-group             # sekisho secret new staff-group\n"
    "  legacy     aggressive               # as clients with a group's name begin\n"
    "  addresses  10.9.6.0/24\n"
    "  dns        10.1.0.53 corp.example.jp\n"
    "}\n"
    "```\n\n";

static const char ending[] =
    "# LIMITS\n\n"
    "64 MiB in at most 1000 files, 16 of them deep; 100000 sites; a million networks; 4096 words "
    "in "
    "a statement; 1024 bytes in a word.\n\n"
    "# SEE ALSO\n\n*sekisho*(1), *sekishod*(8), *sekisho-troubleshooting*(7)\n";

char *config_manual(void)
{
    struct sheet out = {0};

    sheet_add(&out, heading);
    add_scope(&out, SCOPE_GATEWAY);
    sheet_add(&out, "# WORDS OF A SITE\n\n");
    add_scope(&out, SCOPE_SITE);
    sheet_add(&out, "# WORDS OF A MANUAL BLOCK\n\n");
    add_scope(&out, SCOPE_MANUAL);
    sheet_add(&out, people);
    add_scope(&out, SCOPE_ACCESS);
    sheet_add(&out,
              "# ALGORITHMS\n\n"
              "A proposal is words joined by '-'. In *ike*, a hash beside a cipher that checks "
              "integrity by itself (GCM, CCM, ChaCha20) is the pseudo-random function.\n\n");
    add_algorithms(&out);
    sheet_add(&out, ending);
    return sheet_take(&out);
}

static const struct schema_word *find_word(const char *words)
{
    struct slice word = slice_of_text(words);

    if (strncmp(words, "site ", 5) == 0) {
        return schema_find(SCOPE_SITE, slice_of_text(words + 5));
    }
    if (strncmp(words, "manual ", 7) == 0) {
        return schema_find(SCOPE_MANUAL, slice_of_text(words + 7));
    }
    if (strncmp(words, "remote-access ", 14) == 0) {
        return schema_find(SCOPE_ACCESS, slice_of_text(words + 14));
    }
    const struct schema_word *w = schema_find(SCOPE_GATEWAY, word);

    w = w != NULL ? w : schema_find(SCOPE_SITE, word);
    w = w != NULL ? w : schema_find(SCOPE_MANUAL, word);
    return w != NULL ? w : schema_find(SCOPE_ACCESS, word);
}

/* A paragraph for a terminal, two spaces from its edge. */
static void add_wrapped(struct sheet *out, const char *text)
{
    size_t column = 0;

    while (*text != '\0') {
        size_t length = strcspn(text, " ");
        bool breaks = column == 0 || column + 1 + length > HELP_COLUMNS;
        sheet_add(out, breaks ? (column == 0 ? "  " : "\n  ") : " ");
        sheet_add_slice(out, (struct slice){(const uint8_t *)text, length});
        column = (breaks ? 2 : column + 1) + length;
        text += length;
        text += strspn(text, " ");
    }
    sheet_add(out, "\n");
}

char *config_help(const char *word)
{
    const struct schema_word *w = find_word(word);
    struct sheet out = {0};

    if (w == NULL) {
        return NULL;
    }
    sheet_addf(&out, "%s %s\n", w->word, w->arguments);
    add_wrapped(&out, w->meaning);
    if (w->standard != NULL) {
        sheet_addf(&out, "  Default: %s\n", w->standard);
    }
    sheet_addf(&out, "  Example: %s%s\n", w->example, w->block ? " ... }" : "");
    return sheet_take(&out);
}
