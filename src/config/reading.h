/*
 * What is known while a configuration is read: where we are, what was said, what is being built. It
 * lives for one config_read().
 */
#ifndef SEKISHO_CONFIG_READING_H
#define SEKISHO_CONFIG_READING_H

#include "base/table.h"
#include "config/arena.h"
#include "config/diagnose.h"
#include "config/lexer.h"
#include "config/values.h"

#define FILES_MAX 1000
#define FILES_BYTES_MAX ((size_t)64 << 20)
/* A file of nonsense is given up here. */
#define ERRORS_MAX 100000
#define INCLUDE_DEPTH_MAX 16
#define BLOCK_DEPTH_MAX 8
#define STATEMENT_WORDS_MAX 4096
#define VARIABLES_MAX 1000
#define VARIABLE_WORDS_MAX 256
#define SITES_MAX 100000
#define NETWORKS_MAX 1000000
#define SITE_PEERS_MAX 64
#define LEGACY_WORDS_MAX 32
#define ARENA_BYTES_MAX ((size_t)1 << 30)
#define SCHEMA_WORDS_MAX 40

struct word {
    struct slice text;
    struct config_place place;
    bool quoted; /* then it is never a word of the language */
    bool expanded; /* out of a variable: the place is that of $NAME */
};

struct statement {
    struct word words[STATEMENT_WORDS_MAX];
    size_t count;
    bool broken; /* something in it was told already */
    bool opens; /* '{' stands behind it */
    struct config_place brace;
};

/* A network with the place where it is said. */
struct said_network {
    struct network network;
    struct config_place place;
};

struct said_networks {
    struct said_network *list; /* in the arena of the notes */
    size_t count;
    size_t capacity;
};

struct said_words {
    struct word *list;
    size_t count;
    size_t capacity;
};

/* What the checks want to know about a site beside its values. */
struct site_notes {
    struct said_networks networks;
    struct said_networks lans;
    struct config_place peer;
    struct config_place say;
};

struct variable {
    struct config_place place;
    struct word *words;
    size_t count;
};

/* One list of proposals for all who wrote it the same way; the text is what they show. */
struct shared_proposals {
    struct proposals proposals;
    const char *text; /* one proposal to a word, with a space between */
    bool small_blocks; /* a cipher of 64-bit blocks is among them */
};

struct level {
    struct lexer lexer;
    struct token kept; /* read ahead */
    bool has_kept;
    uint32_t file;
    const char *folder; /* of the file, with the last '/'; empty */
    unsigned block_depth;
    struct config_place openers[BLOCK_DEPTH_MAX];
    bool told_depth;
    const char **pending; /* files that an include named and that come next */
    size_t pending_count;
    size_t pending_next;
    struct config_place pending_place;
};

struct reading {
    const struct config_loader *loader;
    struct config_arena *notes; /* lives as long as the result */
    struct config_arena *arena; /* lives as long as the configuration */
    struct diagnoses diagnoses;

    struct config_file *files;
    size_t file_count;
    size_t file_capacity;
    size_t file_bytes;
    struct level levels[INCLUDE_DEPTH_MAX];
    size_t depth;
    unsigned skipping; /* blocks that are passed over, from the outermost */

    struct table variables;
    struct table proposals; /* from a hash of how they are written to struct shared_proposals */
    struct statement statement;
    struct word expanded[STATEMENT_WORDS_MAX];

    struct config *config;
    struct said_networks lans;
    struct config_place said[2][SCHEMA_WORDS_MAX]; /* by scope and word: where first; line 0: not */

    struct config_site *sites;
    struct site_notes *site_notes;
    size_t site_count;
    size_t site_capacity;
    size_t notes_capacity;
    size_t network_count;
    bool told_too_many;

    bool in_site;
    struct config_site site;
    struct site_notes site_note;
    struct said_words ike, esp, legacy;
    struct config_host *peers;
    size_t peer_capacity;
    struct config_place lifetime_said[4]; /* ike, child, bytes, packets */

    size_t comparisons;
};

/* An error at a word; the format's sentence begins small unless it begins with the word. */
#define COMPLAIN(r, where, advice, ...)                                                            \
    diagnose(&(r)->diagnoses, CONFIG_ERROR, (where), (advice), __VA_ARGS__)
#define WARN(r, where, advice, ...)                                                                \
    diagnose(&(r)->diagnoses, CONFIG_WARNING, (where), (advice), __VA_ARGS__)

struct config_result *config_read_within(const char *path, const struct config_loader *loader,
                                         size_t limit_bytes);

/* read.c: the words of the language that concern the reading itself */
void take_include(struct reading *r, const struct statement *s);
void take_set(struct reading *r, const struct statement *s);

/* site_words.c */
void site_begin(struct reading *r, const struct statement *s);
void site_end(struct reading *r);
/* proposal_words.c */
void site_take_proposals(struct reading *r);
const char *proposals_text(const struct proposals *p);

/* check.c: what can be seen only when all is read; makes the lists of the configuration. */
void check_all(struct reading *r);

#endif
