/*
 * A checked configuration as typed values, and what was wrong with the text it came from.
 *
 * One configuration is one immutable object. Everything in it is owned by it and lives in its
 * arena.
 */
#ifndef SEKISHO_CONFIG_CONFIG_H
#define SEKISHO_CONFIG_CONFIG_H

#include "base/address.h"
#include "base/secret.h"
#include "crypto/catalog.h"

#define CONFIG_NAME_BYTES 64
#define CONFIG_DEFAULT_MS UINT64_MAX
#define CONFIG_TCP_PORTS_MAX 4

struct config_place {
    uint32_t file; /* index in diagnostics' file list */
    uint32_t line; /* from 1 */
    uint32_t column; /* from 1, in bytes */
    uint32_t length; /* of the word meant */
};

/* A host to dial: a literal address or a name to resolve; port 0 is the default (500, then 4500).
 */
struct config_host {
    const char *text;
    struct address address; /* family 0 when it is a name */
    uint16_t port;
    bool any; /* "peer any": answers only */
};

struct config_secret_name {
    const char *name; /* without '@'; NULL when there is none */
    struct config_place place;
};

/* One of our lines to the outside: an interface, whatever addresses it has, or one address. */
struct config_uplink {
    const char *text;
    struct address address; /* family 0 when it is an interface */
};

#define CONFIG_UPLINKS_MAX 8

struct config_uplinks {
    size_t count; /* the best first */
    struct config_uplink list[CONFIG_UPLINKS_MAX];
};

enum config_encapsulate { ENCAPSULATE_AUTO, ENCAPSULATE_ALWAYS, ENCAPSULATE_NEVER };
/* How a peer is called: by TCP, or when UDP is silent (RFC 9329). */
enum config_transport { TRANSPORT_UDP, TRANSPORT_AUTO, TRANSPORT_TCP };
/* Which versions of IKE are spoken with a peer; with EITHER IKEv2 first. */
enum config_ike_version { CONFIG_IKE_V2, CONFIG_IKE_V1, CONFIG_IKE_EITHER };
enum config_start { START_NOW, START_ON_TRAFFIC, START_WAIT };
/* What several networks on a side become: one child, or one for each pair of them. */
enum config_children { CHILDREN_TOGETHER, CHILDREN_PER_PAIR };
#define CONFIG_PAIRS_MAX 32
/* Whether a key exchange with ML-KEM protects the negotiation. */
enum config_post_quantum {
    CONFIG_POST_QUANTUM_PREFER, /* where the peer can */
    CONFIG_POST_QUANTUM_REQUIRED, /* or not at all */
    CONFIG_POST_QUANTUM_OFF,
};
/* Whether a renewal of keys is tried at once: AUTO where both sides could differ in PFS. */
enum config_verify_rekey { VERIFY_REKEY_AUTO, VERIFY_REKEY_ON, VERIFY_REKEY_OFF };
enum config_pfs { PFS_PREFER, PFS_ON, PFS_OFF };

/* The protocol around the traffic of a site. RFC 7296 negotiates no bundles of both; IKEv1 does. */
enum config_protection { CONFIG_ESP, CONFIG_AH, CONFIG_AH_AND_ESP };
enum config_mode { CONFIG_TUNNEL, CONFIG_TRANSPORT };
/* RFC 4301 8.1: the bit in the outer header of a tunnel. */
enum config_df { CONFIG_DF_SET, CONFIG_DF_COPY, CONFIG_DF_CLEAR };
/* Whether a packet that is too large is cut before it is protected or as a whole afterwards. */
enum config_fragment { CONFIG_FRAGMENT_BEFORE, CONFIG_FRAGMENT_AFTER };
enum config_dscp { CONFIG_DSCP_COPY, CONFIG_DSCP_CLEAR };
/* RFC 4301 4.4.1.1: what is "populated from packet": an SA for each pair of hosts, or for each
 * connection. */
enum config_each { CONFIG_EACH_OFF, CONFIG_EACH_HOST, CONFIG_EACH_CONNECTION };
/* RFC 9611: SAs of sending workers alone. Else so many of ours have one. */
#define CONFIG_PER_WORKER_AUTO 0
#define CONFIG_PER_WORKER_MOST 16
#define CONFIG_PER_WORKER_OFF UINT8_MAX

/* RFC 4302 2.6: AH over IPv4 is sent in pieces of 32 bits; old Linux kernels want 64. */
enum config_ah_align { CONFIG_AH_ALIGN_32, CONFIG_AH_ALIGN_64 };

#define CONFIG_TFC_MTU UINT16_MAX

/* RFC 9347: packets of one size at one rate. */
struct config_iptfs {
    bool enabled;
    bool congestion_control;
    uint16_t packet_bytes; /* of the outer packets; 0: what the path carries */
    uint64_t bits_per_second; /* on the outside */
};

/* How the packets of a site or of a manual block are carried. */
/* Whether HMAC-SHA2-256 is cut to 96 bits and not to 128 (RFC 4868), as the peer has it. */
enum config_truncate { CONFIG_TRUNCATE_OFF, CONFIG_TRUNCATE_SHA2_96 };

struct config_carriage {
    enum config_mode mode;
    enum config_df df;
    enum config_fragment fragment; /* in transport mode: after (RFC 4303 3.3.4) */
    enum config_dscp dscp;
    uint16_t tfc_bytes; /* inner packets are padded to this; CONFIG_TFC_MTU: to the MTU; 0: not */
    uint32_t tfc_dummy_ms; /* a packet of next header 59 when there was none so long; 0: none */
    struct config_iptfs iptfs;
    bool compress; /* IPComp (RFC 3173) with deflate */
    enum config_truncate truncate;
};

#define CONFIG_TRUSTS_MAX 8
#define CONFIG_TOKEN_SCHEME "pkcs11:" /* RFC 7512 */
#define CONFIG_REVOCATION_URLS_MAX 4
/* What a list of revoked certificates must say about the peer's. */
enum config_follow { CONFIG_FOLLOW_PROVEN, CONFIG_FOLLOW_ON, CONFIG_FOLLOW_OFF };
enum config_resume_key { CONFIG_RESUME_KEY_MEMORY, CONFIG_RESUME_KEY_DISK };

enum config_revocation {
    CONFIG_REVOCATION_NORMAL, /* not that it is revoked */
    CONFIG_REVOCATION_STRICT, /* that it is not */
    CONFIG_REVOCATION_OFF,
};

/* Places of the web, with http. */
struct config_asked {
    const char *crls[CONFIG_REVOCATION_URLS_MAX];
    size_t crl_count;
    const char *responders[CONFIG_REVOCATION_URLS_MAX];
    size_t responder_count;
};

/* A post-quantum preshared key (RFC 8784). */
#define CONFIG_PPK_ID_BYTES_MAX 128
struct config_ppk {
    struct config_secret_name secret;
    const char *id; /* as it is written; the name of the secret when it is not */
    uint8_t id_bytes[CONFIG_PPK_ID_BYTES_MAX];
    uint8_t id_length;
    bool auth_only; /* not in IKE_INTERMEDIATE (RFC 9867) */
    bool opaque; /* what kind of name it is (5.1); else a fixed one */
    bool required; /* or not at all; else where the peer has it */
};

/* By what both sides prove themselves where there are certificates. */
enum config_proof {
    CONFIG_PROOF_SIGNATURE,
    CONFIG_PROOF_ENCRYPTION, /* IKEv1 alone (RFC 2409 5.2) */
    CONFIG_PROOF_REVISED, /* 5.3 */
};

struct config_site {
    struct config_place place;
    const char *name;
    const struct config_access *access; /* NULL: a site; else what people get who connect */
    const struct config_caller *caller; /* NULL: the peer is a gateway like us */
    const struct config_host *peers; /* in order of preference */
    size_t peer_count;
    const struct network *networks; /* behind the peer */
    size_t network_count;
    const struct network *lans; /* ours for this site; the gateway's when empty */
    size_t lan_count;
    /* protocol and ports when the site is narrowed: "only tcp 25"; 0 and 0..65535 for all */
    uint8_t only_protocol;
    uint16_t only_port_first, only_port_last;
    bool only_both; /* ports of the peer, or of ours: "only tcp 25 both" */
    bool unauthenticated; /* neither side proves who it is (RFC 7619): no key, no certificates */
    struct config_secret_name key; /* no name: both sides prove themselves by certificates */
    const struct config_ppk *ppk; /* NULL: none */
    /* With certificates: files, as they are written; NULL and none: those that sekisho ca made. */
    const char *certificate;
    const char *certificate_key; /* NULL with `certificate`: in the same file; or a key in a token,
                                    by its URI (RFC 7512) */
    const char *certificate_pin; /* of the token: the name of a secret; NULL: none is needed */
    const char *trusts[CONFIG_TRUSTS_MAX];
    size_t trust_count;
    const char *subject; /* what the subject of the peer's certificate must be; NULL: see
                            config_site_identity() */
    enum config_revocation revocation;
    enum config_protection protection;
    const struct config_asked *asked; /* about revocation; NULL: what certificates name */
    const char *say; /* our identity towards this peer; NULL: the gateway's name */
    const char *identity; /* what the peer must prove; NULL: see config_site_identity() */
    bool identity_any;
    bool strict_identity;
    /* Never NULL; lists that are written equally are one object, whoever's site they belong to. */
    const struct proposals *ike;
    const struct proposals *esp; /* key exchanges in it are PFS; with `pfs off` there are none */
    const struct proposals *ah; /* NULL unless `protection` has AH */
    bool ike_is_default, esp_is_default, ah_is_default;
    bool aggressive; /* of IKEv1: Aggressive Mode, else Main Mode */
    enum config_post_quantum post_quantum; /* `ike` is what it leaves */
    struct config_carriage
        carriage; /* in transport mode there may be no networks and lans: hosts */
    enum config_each each;
    uint8_t per_worker_sas;
    bool mtu_probe;
    bool mobike;
    enum config_pfs pfs;
    enum config_verify_rekey verify_rekey;
    uint64_t ike_lifetime_ms, child_lifetime_ms;
    uint64_t lifetime_bytes, lifetime_packets; /* 0: none */
    uint64_t dpd_ms; /* NEVER_MS: off */
    bool childless;
    enum config_follow follow_redirects;
    const struct config_host *redirect; /* where this caller is sent; NULL: nowhere */
    uint32_t reauthenticate_s, resume_s; /* 0: off */
    enum config_encapsulate encapsulate;
    enum config_start start;
    uint32_t replay_window;
    uint16_t mss; /* 0: automatic, 1: off */
    uint16_t mtu; /* inner; 0: automatic */
    bool fragmentation;
    uint16_t fragment_bytes;
    bool routes; /* install them */
    bool enabled;
    bool vendor_ids; /* ours are sent */
    enum config_children children;
    const char *like; /* the preset; NULL: none */
    uint16_t like_lines; /* which of its lines were taken */
    uint16_t tcp_port; /* of the peer */
    uint8_t transport; /* enum config_transport */
    uint8_t version; /* enum config_ike_version */
    bool uses_legacy; /* something weak is allowed by the word */
    uint8_t proof; /* enum config_proof */
    uint16_t return_s; /* peers before the one in use are tried after so long; 0: not */
    uint16_t resolve_s; /* the name of a peer in use is asked for so often; 0: not */
    const struct config_uplinks *uplinks; /* NULL: those of the gateway */
    const char *legacy; /* those words, with a space between; NULL: none */
    uint64_t hash; /* of all that matters: equal means nothing to do */
};

/* ---- manual keys ---- */

/* A pair of SAs of one protocol: the same algorithms, an SPI and keys for each direction. What the
 * secrets hold is text: key_material_decode() makes octets of it. */
struct config_static_sa {
    bool present;
    uint32_t spi_out, spi_in; /* the inbound ones are unique over all blocks and both protocols */
    uint16_t encryption, key_bits; /* AH: 0 */
    uint16_t integrity;
    struct config_secret_name cipher_out, cipher_in; /* no names with the null cipher and AH */
    struct config_secret_name auth_out, auth_in;
};

/* A tunnel whose keys the administrator made: there is no negotiation. With both protocols AH goes
 * around ESP. */
struct config_manual {
    struct config_place place;
    const char *name; /* sites and manual blocks share their names */
    struct address local, peer; /* the outer addresses */
    /* Traffic between any of these and any of those; none in transport mode: the two hosts. */
    const struct network *lans;
    size_t lan_count;
    const struct network *networks;
    size_t network_count;
    uint8_t only_protocol;
    uint16_t only_port_first, only_port_last;
    bool only_ours; /* ports of our side: "only tcp 25 ours" */
    struct config_static_sa esp, ah; /* at least one is present */
    bool esn;
    uint32_t replay_window; /* 0: off, the default: numbers begin again when a side restarts */
    enum config_ah_align ah_align;
    uint16_t local_port, peer_port; /* ESP in UDP; 0: not */
    struct config_carriage carriage;
    uint16_t mss; /* 0: automatic, 1: off */
    uint16_t mtu; /* inner; 0: automatic */
    bool routes;
    bool enabled;
    const char *legacy; /* the words, "static-keys" among them */
    uint64_t hash;
};

/* ---- what passes beside all tunnels, or never ---- */

enum config_verdict { CONFIG_BYPASS, CONFIG_DISCARD };
enum config_icmp_errors { CONFIG_ICMP_RELAY, CONFIG_ICMP_SELECTORS };
#define CONFIG_WORKERS_MAX 32
enum config_guard { CONFIG_GUARD_AUTO, CONFIG_GUARD_ON, CONFIG_GUARD_OFF };
/* Where the system may hand over and take many packets in one piece. */
enum config_offload {
    CONFIG_OFFLOAD_ALL,
    CONFIG_OFFLOAD_TUN,
    CONFIG_OFFLOAD_UDP,
    CONFIG_OFFLOAD_OFF,
};

/* A packet from the local to the remote side, and its answer. The first that fits decides. */
struct config_policy {
    struct config_place place;
    enum config_verdict verdict;
    uint8_t protocol; /* 0: any */
    const struct range *local, *remote;
    size_t local_count, remote_count; /* 0: any address of both families */
    uint16_t local_port_first, local_port_last; /* 0..65535: any */
    uint16_t remote_port_first, remote_port_last;
    bool has_icmp_type, has_icmp_code;
    uint8_t icmp_type, icmp_code;
};

/* ---- who may log in ---- */

#define CONFIG_RADIUS_MAX 8
#define CONFIG_RADIUS_PORT 1812
#define CONFIG_RADIUS_ACCOUNTING_PORT 1813

struct config_radius {
    struct config_place place;
    struct address address;
    uint16_t port; /* RFC 2865 3 */
    uint16_t accounting_port; /* RFC 2866 3; 0: none is told there */
    struct config_secret_name secret;
    bool unsigned_replies; /* those without Message-Authenticator are believed (CVE-2024-3596) */
};

/* Who is asked; the next one only where the one before cannot tell. */
enum config_login_source { CONFIG_LOGIN_LOCAL, CONFIG_LOGIN_RADIUS, CONFIG_LOGIN_SOURCES };
/* A one-time password beside the password: not wanted, asked for, or typed behind the password. */
enum config_second_factor { CONFIG_FACTOR_NONE, CONFIG_FACTOR_ASKED, CONFIG_FACTOR_APPENDED };

struct config_login {
    uint8_t sources[CONFIG_LOGIN_SOURCES]; /* enum config_login_source */
    uint8_t source_count; /* 0: not said, which is "local" */
    uint8_t second_factor; /* enum config_second_factor; ASKED and APPENDED are TOTP or HOTP */
};

/* ---- people: remote-access NAME, and a site that is such a person itself ---- */

#define CONFIG_USER_BYTES 128
#define CONFIG_RESOLVERS_MAX 4
#define CONFIG_POOL_RANGES_MAX 16
#define CONFIG_POOL_ADDRESSES_MAX (UINT32_C(1) << 24)
#define CONFIG_FIXED_MAX 65536
#define CONFIG_BANNER_BYTES 255

/* What of a person's traffic comes through the tunnel. */
enum config_traffic { CONFIG_TRAFFIC_LAN, CONFIG_TRAFFIC_EVERYTHING };
/* One more login of a user who has as many sessions as he may. */
enum config_when_full { CONFIG_FULL_OLDEST_GOES, CONFIG_FULL_REFUSE };
/* Who begins with the settings (mode-config): the person asks, or they are pushed. */
enum config_settings { CONFIG_SETTINGS_ASKED, CONFIG_SETTINGS_PUSHED };

struct config_fixed {
    const char *user;
    struct address address;
};

/* What a block remote-access has beside the words of a site: its site is what the sessions of all
 * people are like. */
struct config_access {
    bool hybrid; /* we prove ourselves by a certificate, people by their password alone */
    struct config_login login;
    const char *group; /* NULL: whatever they say */
    const struct range *ranges; /* of addresses to give; in order */
    size_t range_count;
    const struct config_fixed *fixed; /* in the order of the users' names */
    size_t fixed_count;
    struct address dns[CONFIG_RESOLVERS_MAX];
    size_t dns_count;
    struct address wins[CONFIG_RESOLVERS_MAX];
    size_t wins_count;
    const char *domain; /* NULL: none */
    const char *banner; /* NULL: none */
    bool save_password;
    enum config_traffic traffic;
    enum config_settings settings;
    enum config_when_full when_full;
    uint32_t max_sessions; /* of one user; 0: any number */
    uint64_t idle_ms; /* NEVER_MS: off */
};

/* A site whose peer asks who we are: we log in there. */
struct config_caller {
    const char *user; /* NULL: it asks nothing */
    struct config_secret_name password;
    bool hybrid; /* the peer proves itself by a certificate, and we by the password alone */
    const char *group; /* NULL: `say` holds */
    bool asks_address; /* it gives us an address, and says what is behind it */
    bool takes_push; /* and begins with that itself */
};

struct config {
    const char *gateway; /* our name; never NULL in a good configuration */
    struct address listen[8]; /* empty: all addresses */
    size_t listen_count;
    const struct config_uplinks *uplinks; /* NULL: by the routes */
    uint16_t port, nat_port; /* 500 and 4500 */
    uint16_t
        tcp_ports[CONFIG_TCP_PORTS_MAX]; /* on which peers may call by TCP; none: they may not */
    size_t tcp_port_count;
    uint32_t crl_port; /* where the list of our own authority is given by HTTP; 0: nowhere */
    const struct network *lans;
    size_t lan_count;
    const struct config_site *sites;
    size_t site_count;
    const struct config_manual *manuals;
    size_t manual_count;
    const struct config_policy *policies; /* in order; they stand before the sites */
    size_t policy_count;
    const char *users_file; /* as it is written; NULL: only those that sekisho users keeps */
    struct config_radius radius[CONFIG_RADIUS_MAX]; /* the best first */
    size_t radius_count;
    enum config_icmp_errors icmp_errors; /* RFC 4301 6.2: those from inside of a far network */
    enum config_guard guard; /* clear text that should have come protected is stopped by the host */
    enum config_offload offload;
    bool keep_keys; /* for captures that are to be read elsewhere */
    const char *device; /* name of the TUN device, sekisho0 */
    uint32_t workers; /* threads for packets; 0: by the processors */
    bool crash_tokens;
    const struct config_host *redirect; /* where all callers are sent; NULL: nowhere */
    enum config_resume_key resume_key;
    uint32_t cookie_threshold; /* half-open SAs from which cookies are wanted */
    uint32_t half_open_max;
    const struct config_site *const *by_name; /* the sites in the order of their names */
    const struct config_manual *const *manuals_by_name;
    uint64_t hash;
    struct config_arena *arena; /* owner of all of it */
};

/* ---- reading ---- */

enum config_severity { CONFIG_ERROR, CONFIG_WARNING };

struct config_diagnostic {
    enum config_severity severity;
    struct config_place place;
    const char *message; /* 10.2.0.0/61 is not a network: an IPv4 prefix length is at most 32 */
    const char *suggestion; /* "did you mean 10.2.0.0/16 ?", or NULL */
    uint32_t
        hidden_column; /* from here on the line may hold a secret and is never shown; 0: none */
};

struct config_file {
    const char *path;
    struct slice text;
};

struct config_result {
    struct config *config; /* NULL when there was an error */
    const struct config_diagnostic *diagnostics; /* sorted by place */
    size_t diagnostic_count;
    size_t error_count, warning_count;
    const struct config_file *files;
    size_t file_count;
    size_t comparisons; /* of networks with each other: near to their number, not to its square */
    struct config_arena *arena;
};

/* How included files are found: the room itself opens nothing. */
struct config_loader {
    /* The text of a file, borrowed until the result is freed; false with a sentence when it cannot
     * be read. */
    bool (*read)(void *context, const char *path, struct slice *text, char *why, size_t why_bytes);
    /* Paths that match a pattern, in order; returns the count (at most capacity), each a borrowed
     * string. */
    size_t (*match)(void *context, const char *pattern, const char **paths, size_t capacity);
    /* Whether a secret is there and may be used; false with a sentence (not found: which command
     * makes it; permissions: which are wrong). NULL function: not checked. */
    bool (*secret)(void *context, const char *name, char *why, size_t why_bytes);
    /* The text of a secret, to be wiped: keys of manual blocks must have the length of their
     * algorithm. NULL function: not checked. */
    bool (*secret_text)(void *context, const char *name, struct secret *out, char *why,
                        size_t why_bytes);
    /* Whether the certificates of a site, its key and what it trusts are there and fit together;
     * false with a sentence. NULL function: not checked. */
    bool (*certificates)(void *context, const struct config_site *site, const char *gateway,
                         char *why, size_t why_bytes);
    /* Whether the file of users is there and right; false with a sentence. NULL function: not
     * checked. */
    bool (*users)(void *context, const char *path, char *why, size_t why_bytes);
    void *context;
};

/* NULL only when there is no memory. */
struct config_result *config_read(const char *path, const struct config_loader *loader);
/* Frees the result and, unless it was taken with config_take(), its configuration. */
void config_result_free(struct config_result *result);
/* The configuration outlives the result; to be freed with config_free(). */
struct config *config_take(struct config_result *result);
void config_free(struct config *config);

/* All diagnostics with line, caret and suggestion, and the closing sentence, as a person reads
 * them; to be freed. */
char *config_diagnostics_text(const struct config_result *result);

/* The identity that the peer of a site must prove: `identity`, or its host name, or its literal
 * address (which then only says where it calls from: its name may be any). NULL: any. */
const char *config_site_identity(const struct config_site *site);
/* What the preset of a site gave, in words of the language: "pfs off, lifetime ike 8h"; the length.
 */
size_t config_preset_text(const struct config_site *site, char *out, size_t capacity);
/* Its product, for people; NULL when there is none of that name. */
const char *config_preset_product(const char *name);
/* Whether our private key for this site is in a token (PKCS#11). */
bool config_key_is_in_token(const struct config_site *site);
const struct config_site *config_find_site(const struct config *config, const char *name);
const struct config_manual *config_find_manual(const struct config *config, const char *name);

/* ---- the difference between two configurations (old may be NULL) ---- */

enum config_change_kind { SITE_UNCHANGED, SITE_ADDED, SITE_REMOVED, SITE_CHANGED };
struct config_change {
    enum config_change_kind kind;
    const struct config_site *old_site, *new_site;
    const struct config_manual *old_manual, *new_manual; /* when it is no site */
    char words[96]; /* what changed, for the plan: "networks changed", "key changed: will be
                       negotiated again" */
};
/* Writes at most `capacity`; returns how many there are. Removed first, then in the order of the
 * new one. */
size_t config_compare(const struct config *old_config, const struct config *new_config,
                      struct config_change *out, size_t capacity);

/* Of the site or manual block that it is about. */
const char *config_change_name(const struct config_change *change);

/* ---- writing ---- */

/* The same statements, indented and aligned; comments kept. NULL when the text cannot be read (see
 * diagnostics of config_read). To be freed. */
char *config_format(struct slice text);
/* The configuration as text again; with all defaults when `all`. To be freed. */
char *config_show(const struct config *config, bool all);
/* The reference of all words as scdoc text for sekisho.conf(5), made from the schema. To be freed.
 */
char *config_manual(void);
/* One paragraph about a word ("peer", "site peer") for `sekisho help WORD`, or NULL. To be freed.
 */
char *config_help(const char *word);

#endif
