/*
 * What is known while a configuration is read: where we are, what was said, what is being built. It
 * lives for one config_read().
 */
#ifndef SEKISHO_CONFIG_READING_H
#define SEKISHO_CONFIG_READING_H

#include "base/table.h"
#include "base/text.h"
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
#define MANUALS_MAX 10000
#define POLICIES_MAX 1000
#define SCHEMA_WORDS_MAX 160

/* Which words may stand here. */
enum schema_scope { SCOPE_GATEWAY, SCOPE_SITE, SCOPE_MANUAL, SCOPE_ACCESS };
#define SCHEMA_SCOPES 4

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

/* One of the two SAs of a protocol in a manual block, as its line says it. */
struct said_sa {
    struct config_place place; /* line 0: not said */
    struct config_place spi_place, cipher_place, auth_place;
    uint32_t spi; /* 0: not said */
    bool has_cipher, has_auth;
    struct transform cipher, auth;
    struct config_secret_name cipher_key, auth_key;
};

/* By protocol, ESP and AH; out and in. */
struct said_sas {
    struct said_sa esp[2];
    struct said_sa ah[2];
};

struct manual_notes {
    struct said_networks networks;
    struct said_networks lans;
    struct config_place outer;
    struct config_place encapsulate;
    struct config_place esp_spi_in, ah_spi_in;
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

/* By its address; of more than these `listen` is not compared. */
#define UPLINKS_SAID_MAX 64

struct said_uplink {
    struct address address;
    struct config_place place;
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
    /* By scope and word: where first; line 0: not. */
    struct config_place said[SCHEMA_SCOPES][SCHEMA_WORDS_MAX];

    struct config_site *sites;
    struct site_notes *site_notes;
    size_t site_count;
    size_t site_capacity;
    size_t notes_capacity;
    size_t network_count;
    bool told_too_many;

    struct config_manual *manuals;
    struct manual_notes *manual_notes;
    size_t manual_count;
    size_t manual_capacity;
    size_t manual_notes_capacity;

    struct config_policy *policies;
    size_t policy_count;
    size_t policy_capacity;

    enum schema_scope scope; /* of the block that is open */
    struct config_site site;
    struct site_notes site_note;
    struct config_manual manual;
    struct manual_notes manual_note;
    struct said_sas sas;
    struct config_place tfc_said[2]; /* pad, dummy */
    struct said_words ike, esp, ah, legacy;
    struct config_host *peers;
    size_t peer_capacity;
    struct config_uplinks *uplinks[2]; /* of the gateway, of the open site; NULL: none */
    struct said_uplink uplinks_said[UPLINKS_SAID_MAX];
    size_t uplink_said_count;
    struct config_place lifetime_said[4]; /* ike, child, bytes, packets */
    struct config_place version_said, exchange_said; /* of IKE */
    bool legacy_aggressive;
    unsigned legacy_methods; /* as in struct allowed */
    struct config_access access; /* of the open remote-access block */
    struct config_caller caller; /* of the open site */
    struct config_place via_said;
    struct config_fixed *fixed;
    size_t fixed_capacity;
    struct range pool[CONFIG_POOL_RANGES_MAX];

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
/* access_words.c */
void access_begin(struct reading *r, const struct statement *s);
void access_end(struct reading *r);
/* gateway_words.c: one more of a list. */
MUST_USE bool note_network(struct reading *r, const struct network *network,
                           const struct config_place *place, struct said_networks *into);
/* caller_words.c: at the end of a site. */
void caller_settle(struct reading *r);
/* What is built is a site: of a site's block, or the one of a remote-access block. */
static inline bool builds_site(const struct reading *r)
{
    return r->scope == SCOPE_SITE || r->scope == SCOPE_ACCESS;
}
/* Begins and ends what both of those blocks are. */
void site_begin_as(struct reading *r, const struct statement *s, enum schema_scope scope,
                   const char *kind);
void site_settle(struct reading *r);
void site_keep(struct reading *r);
/* manual_words.c */
void manual_begin(struct reading *r, const struct statement *s);
void manual_end(struct reading *r);
/* Where a word of the open block was said; line 0: it was not. */
struct config_place said_at(const struct reading *r, const char *word);
/* A copy of networks without their places, in the configuration. */
const struct network *networks_keep(struct reading *r, const struct said_networks *said);
/* carriage_words.c: what cannot go together in how packets are carried. */
void carriage_settle(struct reading *r);
/* version_words.c: how many words of `ike` were about the version, and the first. */
size_t take_ike_version(struct reading *r, const struct statement *s);
void site_check_version(struct reading *r);
/* login_words.c: the words `login` and `second-factor` of a block, into its `login`. */
void login_take(struct reading *r, const struct statement *s, struct config_login *into);
void login_take_factor(struct reading *r, const struct statement *s, struct config_login *into);
/* What is said by a block about logins that the gateway has nothing for. */
void login_check(struct reading *r, const struct config_login *login,
                 const struct config_place *place);
/* proposal_words.c */
void site_take_proposals(struct reading *r);

/* The weak algorithms that a block allows. */
struct allowed {
    const struct algorithm *list[LEGACY_WORDS_MAX];
    struct transform transforms[LEGACY_WORDS_MAX];
    size_t count;
    bool static_keys;
    bool aggressive; /* IKEv1's Aggressive Mode with a shared key */
    unsigned methods; /* authenticate_words.c: which of its words were said, as bits */
};

/* authenticate_words.c: words of `legacy` that name no algorithm but a way of IKEv1. False: it is
 * none of those. */
MUST_USE bool take_legacy_method(struct reading *r, struct allowed *allowed,
                                 const struct word *word);
void write_legacy_methods(unsigned methods, struct text *out);
/* At the end of a site, and when all is read. */
void check_authenticate(struct reading *r);
void check_shared_keys(struct reading *r);

/* The words of `legacy` of the open block; their text is in the arena, NULL when there is none. */
const char *legacy_words(struct reading *r, struct allowed *allowed);
/* Whether the open block may use it: it is not weak, or its `legacy` names it. */
MUST_USE bool legacy_is_allowed(const struct reading *r, const struct algorithm *a);
/* Says at the place that the algorithm needs the word `legacy`, unless it is not weak or allowed.
 */
void legacy_check(struct reading *r, const struct allowed *allowed, const struct algorithm *a,
                  struct slice word, struct config_place place);
/* Says that the word is no algorithm; `type` 0: of any kind. */
void complain_unknown_algorithm(struct reading *r, uint8_t type, struct slice word,
                                struct config_place place, bool legacy_only);
const char *proposals_text(const struct proposals *p);

/* check.c: what can be seen only when all is read; makes the lists of the configuration. */
void check_all(struct reading *r);

#endif
