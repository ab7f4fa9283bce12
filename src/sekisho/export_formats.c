/*
 * How other products write the peer of a site. Products that take lists get the whole offer in
 * their words; those that want one combination get the first of ours that they can.
 */
#include <stdio.h>
#include <string.h>

#include "sekisho/export_peer.h"

#define MANY 16
#define WORD_BYTES 32

/* ---- algorithms in their words ---- */

struct algorithm_words {
    uint8_t type;
    uint16_t id, key_bits;
    const char *libreswan, *cisco, *asa, *fortigate, *mikrotik; /* NULL: cannot, or not known */
};

#define CIPHER(id, bits) TRANSFORM_ENCRYPTION, id, bits
#define HASH(id) TRANSFORM_INTEGRITY, id, 0
#define GROUP(id) TRANSFORM_KEY_EXCHANGE, id, 0

/* strongSwan has our words but one. */
static const struct algorithm_words words[] = {
    {CIPHER(ENCRYPTION_AES_GCM_16, 256), "aes_gcm256", "aes-gcm-256", "aes-gcm-256", "aes256gcm",
     "aes-256-gcm"},
    {CIPHER(ENCRYPTION_AES_GCM_16, 192), "aes_gcm192", NULL, "aes-gcm-192", NULL, "aes-192-gcm"},
    {CIPHER(ENCRYPTION_AES_GCM_16, 128), "aes_gcm128", "aes-gcm-128", "aes-gcm", "aes128gcm",
     "aes-128-gcm"},
    {CIPHER(ENCRYPTION_CHACHA20_POLY1305, 0), "chacha20_poly1305", NULL, NULL, "chacha20poly1305",
     NULL},
    {CIPHER(ENCRYPTION_AES_CBC, 256), "aes256", "aes-cbc-256", "aes-256", "aes256", "aes-256"},
    {CIPHER(ENCRYPTION_AES_CBC, 192), "aes192", "aes-cbc-192", "aes-192", "aes192", "aes-192"},
    {CIPHER(ENCRYPTION_AES_CBC, 128), "aes128", "aes-cbc-128", "aes", "aes128", "aes-128"},
    {CIPHER(ENCRYPTION_3DES, 0), "3des", "3des", "3des", "3des", "3des"},
    {HASH(INTEGRITY_HMAC_SHA2_512_256), "sha2_512", "sha512", "sha512", "sha512", "sha512"},
    {HASH(INTEGRITY_HMAC_SHA2_384_192), "sha2_384", "sha384", "sha384", "sha384", "sha384"},
    {HASH(INTEGRITY_HMAC_SHA2_256_128), "sha2_256", "sha256", "sha256", "sha256", "sha256"},
    {HASH(INTEGRITY_HMAC_SHA1_96), "sha1", "sha1", "sha", "sha1", "sha1"},
    {HASH(INTEGRITY_HMAC_MD5_96), NULL, "md5", "md5", "md5", "md5"},
    {GROUP(KEY_EXCHANGE_ECP_384), "dh20", "20", "20", "20", "ecp384"},
    {GROUP(KEY_EXCHANGE_ECP_256), "dh19", "19", "19", "19", "ecp256"},
    {GROUP(KEY_EXCHANGE_ECP_521), "dh21", "21", "21", "21", "ecp521"},
    {GROUP(KEY_EXCHANGE_X25519), "dh31", NULL, "31", "31", NULL},
    {GROUP(KEY_EXCHANGE_MODP_4096), "dh16", "16", "16", "16", "modp4096"},
    {GROUP(KEY_EXCHANGE_MODP_3072), "dh15", "15", "15", "15", "modp3072"},
    {GROUP(KEY_EXCHANGE_MODP_2048), "dh14", "14", "14", "14", "modp2048"},
    {GROUP(KEY_EXCHANGE_MODP_6144), "dh17", NULL, NULL, "17", "modp6144"},
    {GROUP(KEY_EXCHANGE_MODP_8192), "dh18", NULL, NULL, "18", "modp8192"},
    {GROUP(KEY_EXCHANGE_MODP_1536), "dh5", "5", "5", "5", "modp1536"},
    {GROUP(KEY_EXCHANGE_MODP_1024), NULL, "2", "2", "2", "modp1024"},
};

/* A product that wants one combination. */
enum product { PRODUCT_CISCO, PRODUCT_ASA, PRODUCT_FORTIGATE, PRODUCT_MIKROTIK };

static const char *word_for(const struct algorithm_words *w, enum product product)
{
    switch (product) {
    case PRODUCT_CISCO:
        return w->cisco;
    case PRODUCT_ASA:
        return w->asa;
    case PRODUCT_FORTIGATE:
        return w->fortigate;
    case PRODUCT_MIKROTIK:
        return w->mikrotik;
    }
    return NULL;
}

static const struct algorithm_words *words_of(const struct transform *t)
{
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        if (words[i].type == t->type && words[i].id == t->id && words[i].key_bits == t->key_bits) {
            return &words[i];
        }
    }
    return NULL;
}

/* The first of a type that the product has. */
static const struct algorithm_words *first_for(const struct proposal *p, uint8_t type,
                                               enum product product)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct algorithm_words *w =
            p->transforms[i].type == type ? words_of(&p->transforms[i]) : NULL;

        if (w != NULL && word_for(w, product) != NULL) {
            return w;
        }
    }
    return NULL;
}

static bool is_aead(const struct algorithm_words *w)
{
    const struct algorithm *a = algorithm_find(TRANSFORM_ENCRYPTION, w->id);

    return a != NULL && a->aead;
}

/* One combination; with an AEAD the hash is the PRF's. NULLs where there is none. */
struct combination {
    const char *cipher, *hash, *group; /* hash NULL in ESP with an AEAD */
    bool aead;
};

static const char *hash_of_prf(const struct proposal *p, enum product product)
{
    static const struct {
        uint16_t prf, integrity;
    } pairs[] = {
        {PRF_HMAC_SHA2_256, INTEGRITY_HMAC_SHA2_256_128},
        {PRF_HMAC_SHA2_384, INTEGRITY_HMAC_SHA2_384_192},
        {PRF_HMAC_SHA2_512, INTEGRITY_HMAC_SHA2_512_256},
    };

    for (size_t i = 0; i < p->count; i++) {
        for (size_t k = 0; k < ARRAY_LENGTH(pairs); k++) {
            struct transform t = {TRANSFORM_INTEGRITY, pairs[k].integrity, 0};

            if (p->transforms[i].type == TRANSFORM_PRF && p->transforms[i].id == pairs[k].prf) {
                return word_for(words_of(&t), product);
            }
        }
    }
    return NULL;
}

static bool combine(const struct proposals *list, enum product product, bool ike,
                    struct combination *out)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct proposal *p = &list->list[i];
        const struct algorithm_words *cipher = first_for(p, TRANSFORM_ENCRYPTION, product);
        const struct algorithm_words *hash = first_for(p, TRANSFORM_INTEGRITY, product);
        const struct algorithm_words *group = first_for(p, TRANSFORM_KEY_EXCHANGE, product);

        /* RouterOS protects the negotiation with CBC. */
        if (cipher == NULL || (ike && group == NULL) ||
            (ike && product == PRODUCT_MIKROTIK && is_aead(cipher))) {
            continue;
        }
        *out = (struct combination){.cipher = word_for(cipher, product), .aead = is_aead(cipher)};
        out->group = group == NULL ? NULL : word_for(group, product);
        if (out->aead) {
            out->hash = ike ? hash_of_prf(p, product) : NULL;
        } else {
            out->hash = hash == NULL ? NULL : word_for(hash, product);
        }
        if (out->hash != NULL || (out->aead && !ike)) {
            return true;
        }
    }
    return false;
}

/* ---- what several formats say ---- */

static bool can_choose(const struct export_peer *e, enum product product, struct combination *ike,
                       struct combination *esp, struct sheet *out)
{
    if (combine(e->site->ike, product, true, ike) && combine(e->site->esp, product, false, esp)) {
        return true;
    }
    sheet_add(out,
              "! Nothing of what this site offers is known there: say other ciphers in ike and "
              "esp of the site.\n");
    return false;
}

static const char *network_text(const struct network *n, char out[NETWORK_TEXT_BYTES])
{
    return network_format(n, out);
}

static void mask_text(const struct network *n, bool wildcard, char out[ADDRESS_TEXT_BYTES])
{
    struct address mask = {.family = n->address.family};

    for (size_t i = 0; i < address_bytes(n->address.family) * 8u; i++) {
        if ((i < n->prefix_bits) != wildcard) {
            mask.bytes[i / 8] |= (uint8_t)(0x80 >> i % 8);
        }
    }
    (void)address_format(&mask, out);
}

/* "10.1.0.0/16,10.5.0.0/16" */
static void add_networks(const struct network *list, size_t count, const char *between,
                         struct sheet *out)
{
    char text[NETWORK_TEXT_BYTES];

    for (size_t i = 0; i < count; i++) {
        sheet_addf(out, "%s%s", i > 0 ? between : "", network_text(&list[i], text));
    }
}

/* Quotation marks and backslashes would end a string of theirs. */
static bool is_printable(struct slice s)
{
    for (size_t i = 0; i < s.length; i++) {
        if (s.data[i] < 0x21 || s.data[i] > 0x7e || s.data[i] == '"' || s.data[i] == '\\') {
            return false;
        }
    }
    return s.length > 0;
}

static void add_secret(const struct export_peer *e, const char *missing, struct sheet *out)
{
    if (e->secret.length == 0) {
        sheet_add(out, missing);
    } else if (is_printable(e->secret)) {
        sheet_add_slice(out, e->secret);
    } else {
        sheet_add(out, missing);
    }
}

static void add_hex(struct slice s, struct sheet *out)
{
    sheet_add(out, "0x");
    for (size_t i = 0; i < s.length; i++) {
        sheet_addf(out, "%02x", s.data[i]);
    }
}

static unsigned long long seconds(uint64_t ms)
{
    return (unsigned long long)ms / 1000;
}

static bool is_address(const char *identity)
{
    struct address address;

    return address_parse(slice_of_text(identity), &address);
}

static const char *identity_kind(const char *identity)
{
    return is_address(identity) ? "address" : "fqdn";
}

static bool is_pairs(const struct export_peer *e)
{
    return e->site->children == CHILDREN_PER_PAIR;
}

/* ---- strongSwan ---- */

static bool strongswan_word(const struct transform *t, char out[WORD_BYTES])
{
    if (t->type != TRANSFORM_ENCRYPTION && t->type != TRANSFORM_INTEGRITY &&
        t->type != TRANSFORM_PRF && t->type != TRANSFORM_KEY_EXCHANGE) {
        return false; /* additional key exchanges, which older versions refuse to read */
    }
    if (t->type == TRANSFORM_KEY_EXCHANGE && t->id >= KEY_EXCHANGE_ML_KEM_512) {
        return false;
    }
    if (t->type == TRANSFORM_ENCRYPTION &&
        (t->id == ENCRYPTION_AES_CCM_8_IIV || t->id == ENCRYPTION_AES_GCM_16_IIV ||
         t->id == ENCRYPTION_CHACHA20_POLY1305_IIV)) {
        return false;
    }
    transform_word(t, out, WORD_BYTES);
    return true;
}

/* One of which every key exchange is left out says nothing any more. */
static bool strongswan_takes(const struct proposal *p)
{
    char word[WORD_BYTES];
    bool has_groups = false, has_known = false;

    for (size_t i = 0; i < p->count; i++) {
        if (p->transforms[i].type == TRANSFORM_KEY_EXCHANGE) {
            has_groups = true;
            has_known = has_known || strongswan_word(&p->transforms[i], word);
        }
    }
    return has_known || !has_groups;
}

static void strongswan_proposal(const struct proposal *p, bool with_groups, struct sheet *out)
{
    char word[WORD_BYTES];
    bool first = true;

    for (size_t i = 0; i < p->count; i++) {
        if ((with_groups || p->transforms[i].type != TRANSFORM_KEY_EXCHANGE) &&
            strongswan_word(&p->transforms[i], word)) {
            sheet_addf(out, "%s%s", first ? "" : "-", word);
            first = false;
        }
    }
}

static void strongswan_proposals(const struct export_peer *e, const struct proposals *list,
                                 bool child, struct sheet *out)
{
    bool first = true;

    for (size_t i = 0; i < list->count; i++) {
        if (strongswan_takes(&list->list[i])) {
            sheet_add(out, first ? "" : ", ");
            strongswan_proposal(&list->list[i], true, out);
            first = false;
        }
    }
    for (size_t i = 0; child && e->site->pfs == PFS_PREFER && i < list->count; i++) {
        sheet_add(out, ", ");
        strongswan_proposal(&list->list[i], false, out);
    }
    sheet_add(out, "\n");
}

static void strongswan_child(const struct export_peer *e, const char *name,
                             const struct network *theirs, size_t their_count,
                             const struct network *ours, size_t our_count, struct sheet *out)
{
    sheet_addf(out, "      %s {\n        local_ts = ", name);
    add_networks(theirs, their_count, ", ", out);
    sheet_add(out, "\n        remote_ts = ");
    add_networks(ours, our_count, ", ", out);
    sheet_add(out, "\n        esp_proposals = ");
    strongswan_proposals(e, e->site->esp, true, out);
    sheet_addf(out, "        rekey_time = %llus\n        start_action = %s\n      }\n",
               seconds(e->site->child_lifetime_ms),
               e->site->start == START_WAIT ? "start" : "trap");
}

static void strongswan_children(const struct export_peer *e, struct sheet *out)
{
    char name[CONFIG_NAME_BYTES + 48];

    if (!is_pairs(e)) {
        strongswan_child(e, e->name, e->peer_networks, e->peer_count, e->our_networks, e->our_count,
                         out);
        return;
    }
    for (size_t i = 0; i < e->peer_count; i++) {
        for (size_t j = 0; j < e->our_count; j++) {
            if (e->peer_networks[i].address.family == e->our_networks[j].address.family) {
                snprintf(name, sizeof(name), "%s-%zu-%zu", e->name, i + 1, j + 1);
                strongswan_child(e, name, &e->peer_networks[i], 1, &e->our_networks[j], 1, out);
            }
        }
    }
}

static void strongswan_secret(const struct export_peer *e, struct sheet *out)
{
    if (e->site->key.name == NULL) {
        return;
    }
    sheet_addf(out, "secrets {\n  ike-%s {\n    id-1 = \"%s\"\n    id-2 = \"%s\"\n    secret = ",
               e->name, e->our_identity, e->peer_identity);
    if (e->secret.length > 0) {
        add_hex(e->secret, out);
    } else {
        sheet_addf(out, "\"\" # the key @%s of site %s: export again --with-secret",
                   e->site->key.name, e->site->name);
    }
    sheet_add(out, "\n  }\n}\n");
}

static void write_swanctl(const struct export_peer *e, struct sheet *out)
{
    const struct config_site *site = e->site;
    const char *method = site->key.name != NULL ? "psk" : "pubkey";

    sheet_addf(out, "connections {\n  %s {\n    version = 2\n", e->name);
    if (e->peer_address != NULL) {
        sheet_addf(out, "    local_addrs = %s\n", e->peer_address);
    }
    sheet_addf(out, "    remote_addrs = %s\n    proposals = ", e->our_address);
    strongswan_proposals(e, site->ike, false, out);
    sheet_addf(out, "    rekey_time = %llus\n", seconds(site->ike_lifetime_ms));
    sheet_addf(out, "    dpd_delay = %llus\n",
               site->dpd_ms == NEVER_MS ? 0ULL : seconds(site->dpd_ms));
    sheet_addf(out, "    encap = %s\n    fragmentation = %s\n    mobike = no\n",
               site->encapsulate == ENCAPSULATE_ALWAYS ? "yes" : "no",
               site->fragmentation ? "yes" : "no");
    sheet_addf(out, "    local {\n      auth = %s\n      id = \"%s\"\n", method, e->peer_identity);
    if (site->key.name == NULL) {
        sheet_addf(out, "      certs = %s.pem\n", site->name);
    }
    sheet_addf(out, "    }\n    remote {\n      auth = %s\n      id = \"%s\"\n    }\n", method,
               e->our_identity);
    sheet_add(out, "    children {\n");
    strongswan_children(e, out);
    sheet_add(out, "    }\n  }\n}\n");
    strongswan_secret(e, out);
}

static void write_strongswan(const struct export_peer *e, struct sheet *out)
{
    sheet_addf(out,
               "# /etc/swanctl/conf.d/%s.conf of %s, made by: sekisho export-peer %s --for "
               "strongswan\n# Then: swanctl --load-all\n",
               e->name, e->site->name, e->site->name);
    write_swanctl(e, out);
}

static void write_opnsense(const struct export_peer *e, struct sheet *out)
{
    sheet_addf(out,
               "# /usr/local/etc/swanctl/conf.d/%s.conf of %s (OPNsense reads this folder beside "
               "what its pages say),\n# made by: sekisho export-peer %s --for opnsense\n"
               "# Then: swanctl --load-all; and let UDP 500 and 4500 and ESP in by Firewall > "
               "Rules > WAN.\n",
               e->name, e->site->name, e->site->name);
    write_swanctl(e, out);
}

/* ---- Libreswan ---- */

static void libreswan_list(const struct proposal *p, uint8_t type, struct sheet *out)
{
    bool first = true;

    for (size_t i = 0; i < p->count; i++) {
        const struct algorithm_words *w =
            p->transforms[i].type == type ? words_of(&p->transforms[i]) : NULL;

        if (w != NULL && w->libreswan != NULL) {
            sheet_addf(out, "%s%s", first ? "" : "+", w->libreswan);
            first = false;
        }
    }
}

static void libreswan_prf(const struct proposal *p, struct sheet *out)
{
    static const struct {
        uint16_t id;
        const char *word;
    } prfs[] = {{PRF_HMAC_SHA2_512, "sha2_512"},
                {PRF_HMAC_SHA2_384, "sha2_384"},
                {PRF_HMAC_SHA2_256, "sha2_256"}};
    bool first = true;

    for (size_t k = 0; k < ARRAY_LENGTH(prfs); k++) {
        for (size_t i = 0; i < p->count; i++) {
            if (p->transforms[i].type == TRANSFORM_PRF && p->transforms[i].id == prfs[k].id) {
                sheet_addf(out, "%s%s", first ? "" : "+", prfs[k].word);
                first = false;
            }
        }
    }
}

static bool has_known(const struct proposal *p, uint8_t type)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct algorithm_words *w =
            p->transforms[i].type == type ? words_of(&p->transforms[i]) : NULL;

        if (w != NULL && w->libreswan != NULL) {
            return true;
        }
    }
    return false;
}

/* cipher+cipher-hash+hash-group+group; with pfs its groups are those of the first proposal. */
static void libreswan_proposals(const struct proposals *list, bool ike, bool pfs, struct sheet *out)
{
    bool first = true;

    for (size_t i = 0; i < list->count; i++) {
        const struct proposal *p = &list->list[i];
        bool hashed = has_known(p, TRANSFORM_INTEGRITY);

        if (!has_known(p, TRANSFORM_ENCRYPTION) || (ike && !has_known(p, TRANSFORM_KEY_EXCHANGE))) {
            continue;
        }
        sheet_add(out, first ? "" : ",");
        first = false;
        libreswan_list(p, TRANSFORM_ENCRYPTION, out);
        if (hashed) {
            sheet_add(out, "-");
            libreswan_list(p, TRANSFORM_INTEGRITY, out);
        } else if (ike) {
            sheet_add(out, "-");
            libreswan_prf(p, out);
        }
        if ((ike || pfs) && has_known(p, TRANSFORM_KEY_EXCHANGE)) {
            sheet_add(out, hashed || ike ? "-" : "-none-");
            libreswan_list(p, TRANSFORM_KEY_EXCHANGE, out);
        }
    }
    sheet_add(out, "\n");
}

static const char *libreswan_id(const char *identity, char out[300])
{
    struct address address;
    bool plain = address_parse(slice_of_text(identity), &address) || identity[0] == '@' ||
                 strchr(identity, '@') != NULL;

    snprintf(out, 300, "%s%s", plain ? "" : "@", identity);
    return out;
}

static void libreswan_conn(const struct export_peer *e, const char *name,
                           const struct network *theirs, const struct network *ours,
                           struct sheet *out)
{
    const struct config_site *site = e->site;
    char text[NETWORK_TEXT_BYTES];
    char id[300];

    sheet_addf(out, "conn %s\n\tikev2=insist\n\tleft=%s\n\tleftid=%s\n", name,
               e->peer_address != NULL ? e->peer_address : "%defaultroute",
               libreswan_id(e->peer_identity, id));
    sheet_addf(out, "\tleftsubnet=%s\n", network_text(theirs, text));
    if (site->key.name == NULL) {
        sheet_addf(out, "\tleftcert=%s\n\tleftsendcert=always\n", site->name);
    }
    sheet_addf(out, "\tright=%s\n\trightid=%s\n", e->our_address,
               libreswan_id(e->our_identity, id));
    sheet_addf(out, "\trightsubnet=%s\n", network_text(ours, text));
    sheet_add(out, site->key.name != NULL ? "\tauthby=secret\n"
                                          : "\trightca=%same\n\t# authby=rsasig for a certificate "
                                            "with an RSA key\n\tauthby=ecdsa\n");
    sheet_add(out, "\tike=");
    libreswan_proposals(site->ike, true, true, out);
    sheet_add(out, "\tesp=");
    libreswan_proposals(site->esp, false, site->pfs != PFS_OFF, out);
    sheet_addf(out, "\tpfs=%s\n\tikelifetime=%llus\n\tsalifetime=%llus\n",
               site->pfs == PFS_OFF ? "no" : "yes", seconds(site->ike_lifetime_ms),
               seconds(site->child_lifetime_ms));
    if (site->dpd_ms != NEVER_MS) {
        sheet_addf(out, "\tdpddelay=%llus\n\tdpdtimeout=%llus\n\tdpdaction=hold\n",
                   seconds(site->dpd_ms), 4 * seconds(site->dpd_ms));
    }
    sheet_addf(out, "\tencapsulation=%s\n\tfragmentation=%s\n\tauto=%s\n",
               site->encapsulate == ENCAPSULATE_ALWAYS  ? "yes"
               : site->encapsulate == ENCAPSULATE_NEVER ? "no"
                                                        : "auto",
               site->fragmentation ? "yes" : "no",
               site->start == START_WAIT ? "start" : "ondemand");
}

static void write_libreswan(const struct export_peer *e, struct sheet *out)
{
    bool several = e->our_count * e->peer_count > 1;
    char name[CONFIG_NAME_BYTES + 48];
    char id[300];

    sheet_addf(out,
               "# /etc/ipsec.d/%s.conf of %s, made by: sekisho export-peer %s --for libreswan\n",
               e->name, e->site->name, e->site->name);
    if (several && !is_pairs(e)) {
        sheet_addf(out,
                   "# It has a connection for each pair of networks: say 'children per-pair' "
                   "in site %s too.\n",
                   e->site->name);
    }
    for (size_t i = 0; i < e->peer_count; i++) {
        for (size_t j = 0; j < e->our_count; j++) {
            if (e->peer_networks[i].address.family != e->our_networks[j].address.family) {
                continue;
            }
            snprintf(name, sizeof(name), several ? "%s-%zu-%zu" : "%s", e->name, i + 1, j + 1);
            libreswan_conn(e, name, &e->peer_networks[i], &e->our_networks[j], out);
        }
    }
    if (e->site->key.name == NULL) {
        return;
    }
    sheet_addf(out, "# Into /etc/ipsec.d/%s.secrets:\n# ", e->name);
    sheet_addf(out, "%s ", libreswan_id(e->peer_identity, id));
    sheet_addf(out, "%s : PSK ", libreswan_id(e->our_identity, id));
    if (e->secret.length > 0) {
        add_hex(e->secret, out);
    } else {
        sheet_addf(out, "\"\"  (the key @%s of site %s: export again --with-secret)",
                   e->site->key.name, e->site->name);
    }
    sheet_add(out, "\n");
}

/* ---- Sekisho ---- */

static void sekisho_proposals(const char *word, const struct proposals *list, bool is_default,
                              struct sheet *out)
{
    char text[WORD_BYTES];

    if (is_default) {
        return;
    }
    sheet_addf(out, "  %s", word);
    for (size_t i = 0; i < list->count; i++) {
        for (size_t k = 0; k < list->list[i].count; k++) {
            transform_word(&list->list[i].transforms[k], text, sizeof(text));
            sheet_addf(out, "%s%s", k > 0 ? "-" : " ", text);
        }
    }
    sheet_add(out, "\n");
}

static void write_sekisho(const struct export_peer *e, struct sheet *out)
{
    const struct config_site *site = e->site;
    static const char *const pfs[] = {"prefer", "on", "off"};
    static const char *const encapsulate[] = {"auto", "always", "never"};

    sheet_addf(out,
               "# sekisho.conf of %s, made by: sekisho export-peer %s --for sekisho\n"
               "# On a gateway that has one already only the block belongs there.\n",
               site->name, site->name);
    sheet_addf(out, "gateway %s\nlan ", e->peer_identity);
    add_networks(e->peer_networks, e->peer_count, " ", out);
    sheet_addf(out, "\nsite %s {\n  peer %s\n  network ", e->name, e->our_address);
    add_networks(e->our_networks, e->our_count, " ", out);
    sheet_addf(out, "\n  identity %s\n", e->our_identity);
    if (site->key.name != NULL) {
        sheet_addf(out, "  key @%s\n", e->name);
    }
    if (site->legacy != NULL) {
        sheet_addf(out, "  legacy %s\n", site->legacy);
    }
    sekisho_proposals("ike", site->ike, site->ike_is_default, out);
    sekisho_proposals("esp", site->esp, site->esp_is_default, out);
    sheet_addf(out, "  pfs %s\n  encapsulate %s\n  children %s\n", pfs[site->pfs],
               encapsulate[site->encapsulate], is_pairs(e) ? "per-pair" : "together");
    sheet_addf(out, "  lifetime ike %llus child %llus\n", seconds(site->ike_lifetime_ms),
               seconds(site->child_lifetime_ms));
    if (!site->fragmentation) {
        sheet_add(out, "  fragmentation off\n");
    }
    if (site->carriage.compress) {
        sheet_add(out, "  compress on\n");
    }
    sheet_add(out, "}\n");
    if (site->key.name == NULL) {
        return;
    }
    sheet_addf(out, "# The key, there: sekisho secret set %s\n# ", e->name);
    add_secret(e, "(export again --with-secret, or take it from here)", out);
    sheet_add(out, "\n");
}

/* ---- Cisco ---- */

static void cisco_list(const struct export_peer *e, struct sheet *out)
{
    for (size_t i = 0; i < e->peer_count; i++) {
        for (size_t j = 0; j < e->our_count; j++) {
            char theirs[ADDRESS_TEXT_BYTES];
            char their_mask[ADDRESS_TEXT_BYTES];
            char ours[ADDRESS_TEXT_BYTES];
            char our_mask[ADDRESS_TEXT_BYTES];

            mask_text(&e->peer_networks[i], true, their_mask);
            mask_text(&e->our_networks[j], true, our_mask);
            sheet_addf(out, " permit ip %s %s %s %s\n",
                       address_format(&e->peer_networks[i].address, theirs), their_mask,
                       address_format(&e->our_networks[j].address, ours), our_mask);
        }
    }
}

static void pairs_remark(const struct export_peer *e, const char *mark, struct sheet *out)
{
    if (e->our_count * e->peer_count > 1 && !is_pairs(e)) {
        sheet_addf(out,
                   "%s It makes an SA for each pair of networks: say 'children per-pair' in site "
                   "%s.\n",
                   mark, e->site->name);
    }
}

static void write_cisco_ios(const struct export_peer *e, struct sheet *out)
{
    struct combination ike;
    struct combination esp;
    const char *n = e->name;

    sheet_addf(out, "! IOS of %s, made by: sekisho export-peer %s --for cisco-ios\n", e->site->name,
               e->site->name);
    if (!can_choose(e, PRODUCT_CISCO, &ike, &esp, out)) {
        return;
    }
    pairs_remark(e, "!", out);
    sheet_addf(out, "crypto ikev2 proposal %s\n encryption %s\n %s %s\n group %s\n", n, ike.cipher,
               ike.aead ? "prf" : "integrity", ike.hash, ike.group);
    sheet_addf(out, "crypto ikev2 policy %s\n proposal %s\n", n, n);
    sheet_addf(out, "crypto ikev2 keyring %s\n peer %s\n  address %s\n  pre-shared-key ", n, n,
               e->our_address);
    add_secret(e, "KEY", out);
    sheet_addf(out,
               "\ncrypto ikev2 profile %s\n match identity remote %s %s%s\n identity local %s "
               "%s\n authentication remote pre-share\n authentication local pre-share\n keyring "
               "local %s\n lifetime %llu\n dpd %llu 5 periodic\n",
               n, identity_kind(e->our_identity), e->our_identity,
               is_address(e->our_identity) ? " 255.255.255.255" : "",
               identity_kind(e->peer_identity), e->peer_identity, n,
               seconds(e->site->ike_lifetime_ms),
               e->site->dpd_ms == NEVER_MS ? 30ULL : seconds(e->site->dpd_ms));
    if (esp.aead) {
        sheet_addf(out, "crypto ipsec transform-set %s esp-gcm %s\n mode tunnel\n", n,
                   strstr(esp.cipher, "256") != NULL ? "256" : "128");
    } else {
        sheet_addf(out, "crypto ipsec transform-set %s %s esp-%s-hmac\n mode tunnel\n", n,
                   strcmp(esp.cipher, "3des") == 0     ? "esp-3des"
                   : strstr(esp.cipher, "256") != NULL ? "esp-aes 256"
                   : strstr(esp.cipher, "192") != NULL ? "esp-aes 192"
                                                       : "esp-aes",
                   strcmp(esp.hash, "sha1") == 0 ? "sha" : esp.hash);
    }
    sheet_addf(out, "ip access-list extended %s\n", n);
    cisco_list(e, out);
    sheet_addf(out,
               "crypto map SEKISHO 10 ipsec-isakmp\n set peer %s\n set transform-set %s\n set "
               "ikev2-profile %s\n set security-association lifetime seconds %llu\n",
               e->our_address, n, n, seconds(e->site->child_lifetime_ms));
    if (e->site->pfs != PFS_OFF && esp.group != NULL) {
        sheet_addf(out, " set pfs group%s\n", esp.group);
    }
    sheet_addf(out, " match address %s\n! On the interface outside: crypto map SEKISHO\n", n);
}

static void write_cisco_asa(const struct export_peer *e, struct sheet *out)
{
    struct combination ike;
    struct combination esp;
    const char *n = e->name;

    sheet_addf(out, "! ASA of %s, made by: sekisho export-peer %s --for cisco-asa\n", e->site->name,
               e->site->name);
    if (!can_choose(e, PRODUCT_ASA, &ike, &esp, out)) {
        return;
    }
    pairs_remark(e, "!", out);
    sheet_addf(out,
               "crypto ikev2 policy 10\n encryption %s\n integrity %s\n prf %s\n group %s\n "
               "lifetime seconds %llu\ncrypto ikev2 enable outside\n",
               ike.cipher, ike.aead ? "null" : ike.hash, ike.hash, ike.group,
               seconds(e->site->ike_lifetime_ms));
    sheet_addf(out,
               "crypto ipsec ikev2 ipsec-proposal %s\n protocol esp encryption %s\n protocol esp "
               "integrity %s\n",
               n, esp.cipher,
               esp.aead                          ? "null"
               : strcmp(esp.hash, "sha") == 0    ? "sha-1"
               : strcmp(esp.hash, "sha256") == 0 ? "sha-256"
               : strcmp(esp.hash, "sha384") == 0 ? "sha-384"
               : strcmp(esp.hash, "sha512") == 0 ? "sha-512"
                                                 : esp.hash);
    for (size_t i = 0; i < e->peer_count; i++) {
        for (size_t j = 0; j < e->our_count; j++) {
            char theirs[ADDRESS_TEXT_BYTES];
            char their_mask[ADDRESS_TEXT_BYTES];
            char ours[ADDRESS_TEXT_BYTES];
            char our_mask[ADDRESS_TEXT_BYTES];

            mask_text(&e->peer_networks[i], false, their_mask);
            mask_text(&e->our_networks[j], false, our_mask);
            sheet_addf(out, "access-list %s extended permit ip %s %s %s %s\n", n,
                       address_format(&e->peer_networks[i].address, theirs), their_mask,
                       address_format(&e->our_networks[j].address, ours), our_mask);
        }
    }
    sheet_addf(out,
               "crypto map SEKISHO 10 match address %s\ncrypto map SEKISHO 10 set peer %s\ncrypto "
               "map SEKISHO 10 set ikev2 ipsec-proposal %s\ncrypto map SEKISHO 10 set "
               "security-association lifetime seconds %llu\n",
               n, e->our_address, n, seconds(e->site->child_lifetime_ms));
    if (e->site->pfs != PFS_OFF && esp.group != NULL) {
        sheet_addf(out, "crypto map SEKISHO 10 set pfs group%s\n", esp.group);
    }
    sheet_addf(out,
               "crypto map SEKISHO interface outside\ntunnel-group %s type ipsec-l2l\n"
               "tunnel-group %s ipsec-attributes\n ikev2 remote-authentication pre-shared-key ",
               e->our_address, e->our_address);
    add_secret(e, "KEY", out);
    sheet_add(out, "\n ikev2 local-authentication pre-shared-key ");
    add_secret(e, "KEY", out);
    sheet_addf(out,
               "\n! It proves its address: site %s here needs 'identity ADDRESS' or 'identity "
               "auto' with 'peer ADDRESS'.\n",
               e->site->name);
}

/* ---- FortiGate ---- */

static void fortigate_list(const struct combination *c, struct sheet *out)
{
    /* aes256gcm-prfsha384, aes256-sha256, aes256gcm */
    sheet_add(out, c->cipher);
    if (c->hash != NULL) {
        sheet_addf(out, "-%s%s", c->aead ? "prf" : "", c->hash);
    }
}

static void write_fortigate(const struct export_peer *e, struct sheet *out)
{
    struct combination ike;
    struct combination esp;
    const char *n = e->name;
    struct address address;
    bool numeric = address_parse(slice_of_text(e->our_address), &address);
    size_t number = 0;

    sheet_addf(out, "# FortiOS of %s, made by: sekisho export-peer %s --for fortigate\n",
               e->site->name, e->site->name);
    if (!can_choose(e, PRODUCT_FORTIGATE, &ike, &esp, out)) {
        return;
    }
    pairs_remark(e, "#", out);
    sheet_addf(out,
               "config vpn ipsec phase1-interface\n    edit \"%.15s\"\n        set interface "
               "\"wan1\"\n        set ike-version 2\n        set keylife %llu\n        set "
               "peertype one\n        set peerid \"%s\"\n        set proposal ",
               n, seconds(e->site->ike_lifetime_ms), e->our_identity);
    fortigate_list(&ike, out);
    sheet_addf(out,
               "\n        set dhgrp %s\n        set localid \"%s\"\n        set nattraversal %s\n  "
               "      set dpd on-idle\n",
               ike.group, e->peer_identity,
               e->site->encapsulate == ENCAPSULATE_ALWAYS  ? "forced"
               : e->site->encapsulate == ENCAPSULATE_NEVER ? "disable"
                                                           : "enable");
    if (numeric) {
        sheet_addf(out, "        set remote-gw %s\n", e->our_address);
    } else {
        sheet_addf(out, "        set type ddns\n        set remotegw-ddns \"%s\"\n",
                   e->our_address);
    }
    sheet_add(out, "        set psksecret ");
    add_secret(e, "KEY", out);
    sheet_add(out, "\n    next\nend\nconfig vpn ipsec phase2-interface\n");
    for (size_t i = 0; i < e->peer_count; i++) {
        for (size_t j = 0; j < e->our_count; j++) {
            char text[NETWORK_TEXT_BYTES];

            sheet_addf(out, "    edit \"%.15s-%zu\"\n        set phase1name \"%.15s\"\n", n,
                       ++number, n);
            sheet_add(out, "        set proposal ");
            fortigate_list(&esp, out);
            if (e->site->pfs == PFS_OFF || esp.group == NULL) {
                sheet_add(out, "\n        set pfs disable\n");
            } else {
                sheet_addf(out, "\n        set pfs enable\n        set dhgrp %s\n", esp.group);
            }
            sheet_addf(out, "        set keylifeseconds %llu\n        set auto-negotiate enable\n",
                       seconds(e->site->child_lifetime_ms));
            sheet_addf(out, "        set src-subnet %s\n",
                       network_text(&e->peer_networks[i], text));
            sheet_addf(out, "        set dst-subnet %s\n    next\n",
                       network_text(&e->our_networks[j], text));
        }
    }
    sheet_addf(out,
               "end\n# Routes to these networks by \"%.15s\", and policies both ways, are set by "
               "hand.\n",
               n);
}

/* ---- MikroTik ---- */

static void write_mikrotik(const struct export_peer *e, struct sheet *out)
{
    struct combination ike;
    struct combination esp;
    const char *n = e->name;

    sheet_addf(out, "# RouterOS of %s, made by: sekisho export-peer %s --for mikrotik\n",
               e->site->name, e->site->name);
    if (!can_choose(e, PRODUCT_MIKROTIK, &ike, &esp, out)) {
        return;
    }
    pairs_remark(e, "#", out);
    sheet_addf(out, "/ip ipsec profile add name=%s enc-algorithm=%s hash-algorithm=%s ", n,
               ike.cipher, ike.hash);
    sheet_addf(out, "dh-group=%s lifetime=%llus dpd-interval=%llus nat-traversal=yes\n", ike.group,
               seconds(e->site->ike_lifetime_ms),
               e->site->dpd_ms == NEVER_MS ? 120ULL : seconds(e->site->dpd_ms));
    sheet_addf(out,
               "/ip ipsec proposal add name=%s enc-algorithms=%s%s auth-algorithms=%s "
               "lifetime=%llus pfs-group=%s\n",
               n, esp.cipher, esp.aead ? "" : "-cbc", esp.aead ? "null" : esp.hash,
               seconds(e->site->child_lifetime_ms),
               e->site->pfs == PFS_OFF || esp.group == NULL ? "none" : esp.group);
    sheet_addf(out, "/ip ipsec peer add name=%s address=%s exchange-mode=ike2 profile=%s\n", n,
               e->our_address, n);
    sheet_addf(out,
               "/ip ipsec identity add peer=%s auth-method=pre-shared-key my-id=%s:%s "
               "remote-id=%s:%s secret=\"",
               n, identity_kind(e->peer_identity), e->peer_identity, identity_kind(e->our_identity),
               e->our_identity);
    add_secret(e, "KEY", out);
    sheet_add(out, "\"\n");
    for (size_t i = 0; i < e->peer_count; i++) {
        for (size_t j = 0; j < e->our_count; j++) {
            char text[NETWORK_TEXT_BYTES];

            sheet_addf(out, "/ip ipsec policy add peer=%s proposal=%s tunnel=yes level=unique ", n,
                       n);
            sheet_addf(out, "src-address=%s ", network_text(&e->peer_networks[i], text));
            sheet_addf(out, "dst-address=%s\n", network_text(&e->our_networks[j], text));
        }
    }
}

static const struct export_format formats[] = {
    {"strongswan", "strongSwan", true, write_strongswan},
    {"libreswan", "Libreswan", true, write_libreswan},
    {"sekisho", "Sekisho", true, write_sekisho},
    {"cisco-ios", "Cisco IOS", false, write_cisco_ios},
    {"cisco-asa", "Cisco ASA", false, write_cisco_asa},
    {"fortigate", "FortiGate", false, write_fortigate},
    {"mikrotik", "MikroTik RouterOS", false, write_mikrotik},
    {"opnsense", "OPNsense", true, write_opnsense},
};

const struct export_format *export_format_at(size_t index)
{
    return index < ARRAY_LENGTH(formats) ? &formats[index] : NULL;
}
