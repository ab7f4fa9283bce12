/*
 * The one table of the words of the language: what drives reading, suggestions, `show`, the plan of
 * a change, help and the manual page.
 */
#ifndef SEKISHO_CONFIG_SCHEMA_H
#define SEKISHO_CONFIG_SCHEMA_H

#include "config/reading.h"
#include "config/sheet.h"

enum schema_kind {
    KIND_CUSTOM, /* take and write say all */
    KIND_SWITCH, /* on or off, a bool at `offset` */
    KIND_FLAG, /* the word alone is on; a bool */
    KIND_UNFLAG, /* the word alone turns the bool off */
    KIND_NUMBER, /* uint32_t within least_value and most_value */
    KIND_CHOICE, /* an enum: the index in `choices` */
};

/* What a change of the word in a running site means. */
enum schema_effect {
    EFFECT_NOW, /* taken over at once */
    EFFECT_CHILD, /* the child SAs are made anew */
    EFFECT_NEGOTIATE, /* the whole negotiation is made anew, without a gap */
};

enum show_mode { SHOW_SAID, SHOW_ALL, SHOW_HASH };

struct shown {
    const struct config *config;
    const struct config_site *site;
    const struct config_manual *manual; /* both NULL: the gateway itself */
    enum show_mode mode;
    struct sheet *out;
    uint64_t lans_hash; /* of the gateway's networks */
};

struct schema_word {
    const char *word;
    enum schema_scope scope;
    enum schema_kind kind;
    enum schema_effect effect;
    bool repeats; /* adds to a list; else said once */
    bool block; /* '{' follows */
    bool internal; /* concerns the text, not the configuration: not shown */
    unsigned least; /* arguments */
    unsigned most;
    size_t offset;
    uint32_t least_value, most_value;
    const char *const *choices; /* ends with NULL */
    void (*take)(struct reading *r, const struct statement *s);
    void (*write)(const struct schema_word *w, const struct shown *shown);
    const char *arguments; /* for people: NETWORK... */
    const char *standard; /* the default, for people; NULL: none */
    const char *example;
    const char *meaning;
};

/* In the order in which they are shown; NULL behind the last. */
const struct schema_word *schema_at(size_t index);
size_t schema_index(const struct schema_word *w);
/* NULL when there is none. */
const struct schema_word *schema_find(enum schema_scope scope, struct slice word);
/* Whether the word may stand in such a block. */
MUST_USE bool schema_stands(const struct schema_word *w, enum schema_scope scope);
/* Fills what a block begins with. */
void schema_set_defaults_of_gateway(struct config *config);
void schema_set_defaults_of_site(struct config_site *site);
void schema_set_defaults_of_manual(struct config_manual *manual);

/* Says what is known about a word that is not of this scope. */
void schema_complain_unknown(struct reading *r, enum schema_scope scope, const struct word *w);
/* The number of arguments, "said twice", blocks; then the value itself. */
void schema_take(struct reading *r, const struct schema_word *w, const struct statement *s);
void schema_write(const struct schema_word *w, const struct shown *shown);

/* "  word ARGUMENTS\n", where the format makes the arguments. */
void shown_line(const struct shown *shown, const char *word, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* A word as it must be written to be read as the same text. */
void sheet_add_word(struct sheet *out, const char *text);

/* gateway_words.c */
void take_gateway(struct reading *r, const struct statement *s);
void take_lan(struct reading *r, const struct statement *s);
void take_listen(struct reading *r, const struct statement *s);
void take_port(struct reading *r, const struct statement *s);
void take_device(struct reading *r, const struct statement *s);
void take_workers(struct reading *r, const struct statement *s);
void write_gateway(const struct schema_word *w, const struct shown *shown);
void write_lan(const struct schema_word *w, const struct shown *shown);
void write_listen(const struct schema_word *w, const struct shown *shown);
void write_port(const struct schema_word *w, const struct shown *shown);
void write_device(const struct schema_word *w, const struct shown *shown);
void write_workers(const struct schema_word *w, const struct shown *shown);
/* One word as a network; false when no more are taken. */
bool take_one_network(struct reading *r, const struct word *word, struct said_networks *into);

/* login_words.c */
void take_users(struct reading *r, const struct statement *s);
void take_radius(struct reading *r, const struct statement *s);
void write_users(const struct schema_word *w, const struct shown *shown);
void write_radius(const struct schema_word *w, const struct shown *shown);
void login_write(const struct schema_word *w, const struct shown *shown,
                 const struct config_login *login);
void login_write_factor(const struct schema_word *w, const struct shown *shown,
                        const struct config_login *login);

/* policy_words.c */
void take_policy(struct reading *r, const struct statement *s);
/* All of both verdicts in their order; under the other word nothing is left to write. */
void write_policies(const struct schema_word *w, const struct shown *shown);
void write_nothing(const struct schema_word *w, const struct shown *shown);

/* site_words.c, proposal_words.c */
void take_peer(struct reading *r, const struct statement *s);
void take_network(struct reading *r, const struct statement *s);
void take_like(struct reading *r, const struct statement *s);
void take_only(struct reading *r, const struct statement *s);
void take_key(struct reading *r, const struct statement *s);
void take_say(struct reading *r, const struct statement *s);
void take_certificate(struct reading *r, const struct statement *s);
void take_trust(struct reading *r, const struct statement *s);
void take_crl(struct reading *r, const struct statement *s);
void take_ocsp(struct reading *r, const struct statement *s);
void take_name(struct reading *r, const struct statement *s);
void take_identity(struct reading *r, const struct statement *s);
void take_ike(struct reading *r, const struct statement *s);
void take_esp(struct reading *r, const struct statement *s);
void take_legacy(struct reading *r, const struct statement *s);
void take_lifetime(struct reading *r, const struct statement *s);
void take_dpd(struct reading *r, const struct statement *s);
void take_ah(struct reading *r, const struct statement *s);
void take_replay_window(struct reading *r, const struct statement *s);
void take_fragmentation(struct reading *r, const struct statement *s);
void write_peer(const struct schema_word *w, const struct shown *shown);
void write_like(const struct schema_word *w, const struct shown *shown);
void write_network(const struct schema_word *w, const struct shown *shown);
void write_only(const struct schema_word *w, const struct shown *shown);
void write_key(const struct schema_word *w, const struct shown *shown);
void write_say(const struct schema_word *w, const struct shown *shown);
void write_certificate(const struct schema_word *w, const struct shown *shown);
void write_trust(const struct schema_word *w, const struct shown *shown);
void write_crl(const struct schema_word *w, const struct shown *shown);
void write_ocsp(const struct schema_word *w, const struct shown *shown);
void write_name(const struct schema_word *w, const struct shown *shown);
void write_identity(const struct schema_word *w, const struct shown *shown);
void write_ike_version(const struct schema_word *w, const struct shown *shown);
void write_ike(const struct schema_word *w, const struct shown *shown);
void write_esp(const struct schema_word *w, const struct shown *shown);
void write_legacy(const struct schema_word *w, const struct shown *shown);
void write_lifetime(const struct schema_word *w, const struct shown *shown);
void write_dpd(const struct schema_word *w, const struct shown *shown);
void write_ah(const struct schema_word *w, const struct shown *shown);
void write_replay_window(const struct schema_word *w, const struct shown *shown);
void write_fragmentation(const struct schema_word *w, const struct shown *shown);

/* ppk_words.c */
void take_ppk(struct reading *r, const struct statement *s);
void write_ppk(const struct schema_word *w, const struct shown *shown);

/* authenticate_words.c */
void take_authenticate(struct reading *r, const struct statement *s);
void write_authenticate(const struct schema_word *w, const struct shown *shown);

/* unauthenticated.c: at the end of a site. */
void check_unauthenticated(struct reading *r);
/* redirect_words.c */
void take_redirect(struct reading *r, const struct statement *s);
void write_redirect(const struct schema_word *w, const struct shown *shown);

/* resilience_words.c */
void take_reauthenticate(struct reading *r, const struct statement *s);
void take_resume(struct reading *r, const struct statement *s);
void write_resume(const struct schema_word *w, const struct shown *shown);
void write_reauthenticate(const struct schema_word *w, const struct shown *shown);

/* roaming_words.c */
void take_return(struct reading *r, const struct statement *s);
void take_resolve(struct reading *r, const struct statement *s);
void take_uplink(struct reading *r, const struct statement *s);
void write_return(const struct schema_word *w, const struct shown *shown);
void write_resolve(const struct schema_word *w, const struct shown *shown);
void write_uplink(const struct schema_word *w, const struct shown *shown);
/* At the end of a site, and when all is read. */
void check_site_uplinks(struct reading *r);
void check_uplinks(struct reading *r);

/* carriage_words.c: words that sites and manual blocks share */
void take_mss(struct reading *r, const struct statement *s);
void take_mtu(struct reading *r, const struct statement *s);
void take_tfc(struct reading *r, const struct statement *s);
void take_iptfs(struct reading *r, const struct statement *s);
void take_per_worker_sas(struct reading *r, const struct statement *s);
void write_mss(const struct schema_word *w, const struct shown *shown);
void write_mtu(const struct schema_word *w, const struct shown *shown);
void write_tfc(const struct schema_word *w, const struct shown *shown);
void write_iptfs(const struct schema_word *w, const struct shown *shown);
void write_per_worker_sas(const struct schema_word *w, const struct shown *shown);
/* A number of octets; false when it was told that it is none. */
bool take_bytes(struct reading *r, const struct word *word, uint64_t least, uint16_t *out);

/* tcp_words.c */
void take_tcp_port(struct reading *r, const struct statement *s);
void take_transport(struct reading *r, const struct statement *s);
void write_tcp_port(const struct schema_word *w, const struct shown *shown);
void write_transport(const struct schema_word *w, const struct shown *shown);
/* At the end of a site. */
void check_tcp(struct reading *r);

/* access_words.c */
void take_via(struct reading *r, const struct statement *s);
void take_pool(struct reading *r, const struct statement *s);
void take_fixed(struct reading *r, const struct statement *s);
void take_group_name(struct reading *r, const struct statement *s);
void take_dns(struct reading *r, const struct statement *s);
void take_wins(struct reading *r, const struct statement *s);
void take_banner(struct reading *r, const struct statement *s);
void take_traffic(struct reading *r, const struct statement *s);
void take_access_login(struct reading *r, const struct statement *s);
void take_second_factor(struct reading *r, const struct statement *s);
void take_settings(struct reading *r, const struct statement *s);
void take_max_sessions(struct reading *r, const struct statement *s);
void take_idle_timeout(struct reading *r, const struct statement *s);
void take_save_password(struct reading *r, const struct statement *s);
void write_via(const struct schema_word *w, const struct shown *shown);
void write_pool(const struct schema_word *w, const struct shown *shown);
void write_fixed(const struct schema_word *w, const struct shown *shown);
void write_group_name(const struct schema_word *w, const struct shown *shown);
void write_dns(const struct schema_word *w, const struct shown *shown);
void write_wins(const struct schema_word *w, const struct shown *shown);
void write_banner(const struct schema_word *w, const struct shown *shown);
void write_traffic(const struct schema_word *w, const struct shown *shown);
void write_access_login(const struct schema_word *w, const struct shown *shown);
void write_second_factor(const struct schema_word *w, const struct shown *shown);
void write_settings(const struct schema_word *w, const struct shown *shown);
void write_max_sessions(const struct schema_word *w, const struct shown *shown);
void write_idle_timeout(const struct schema_word *w, const struct shown *shown);
void write_save_password(const struct schema_word *w, const struct shown *shown);
/* Words of a site that stand in a remote-access block too. */
MUST_USE bool access_has_word(const char *word);
/* How much a pool grew or shrank, in words; false: it did not. */
MUST_USE bool access_pool_change(const struct config_site *before, const struct config_site *now,
                                 char *out, size_t capacity);
/* A pool and a network of ours that meet. */
void access_complain_lan(struct reading *r, const struct said_network *pool, const char *lan,
                         const char *place, bool all);

/* caller_words.c */
void take_caller_login(struct reading *r, const struct statement *s);
void take_caller_address(struct reading *r, const struct statement *s);
void take_caller_group(struct reading *r, const struct statement *s);
void write_caller_login(const struct schema_word *w, const struct shown *shown);
void write_caller_address(const struct schema_word *w, const struct shown *shown);
void write_caller_group(const struct schema_word *w, const struct shown *shown);

/* manual_words.c */
void take_outer(struct reading *r, const struct statement *s);
void take_inner(struct reading *r, const struct statement *s);
void take_static_sa(struct reading *r, const struct statement *s);
void take_udp_ports(struct reading *r, const struct statement *s);
void write_outer(const struct schema_word *w, const struct shown *shown);
void write_inner(const struct schema_word *w, const struct shown *shown);
void write_static_sa(const struct schema_word *w, const struct shown *shown);
void write_udp_ports(const struct schema_word *w, const struct shown *shown);
/* "@NAME" as a secret that is there; false when it was told that it is none. */
bool take_path(struct reading *r, const struct word *word, const char **out);
bool take_secret_name(struct reading *r, const struct word *word, struct config_secret_name *out);
bool is_word(const struct word *w, const char *word);

#define DEFAULT_DEVICE "sekisho0"
#define DEFAULT_PORT 500
#define DEFAULT_NAT_PORT 4500
#define DEFAULT_IKE_LIFETIME_MS (4 * UINT64_C(3600000))
#define DEFAULT_CHILD_LIFETIME_MS UINT64_C(3600000)
/* 64-bit blocks repeat after 32 GiB (RFC 4301's users know it as "Sweet32"): far before that there
 * is a new key. */
#define DEFAULT_SMALL_BLOCK_BYTES (UINT64_C(1) << 30)
#define DEFAULT_MAX_SESSIONS 1
#define DEFAULT_RETURN_S 60
#define DEFAULT_RESOLVE_S 300
#define DEFAULT_DPD_MS UINT64_C(30000)
#define DEFAULT_FRAGMENT_BYTES 1280
#define DEFAULT_REPLAY_WINDOW 1024
#define REPLAY_WINDOW_LEAST 32
#define REPLAY_WINDOW_MOST 65536

#endif
