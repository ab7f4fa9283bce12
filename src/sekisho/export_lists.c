/* Products that take lists get the whole offer in their words. */
#include <stdio.h>
#include <string.h>

#include "sekisho/export_words.h"

#define WORD_BYTES 32

/* ---- strongSwan ---- */

static bool strongswan_word(const struct export_peer *e, const struct transform *t,
                            char out[WORD_BYTES])
{
    if (t->type == TRANSFORM_PRF && export_is_old(e)) {
        return false; /* it is the hash's */
    }
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
static bool strongswan_takes(const struct export_peer *e, const struct proposal *p)
{
    char word[WORD_BYTES];
    bool has_groups = false, has_known = false;

    for (size_t i = 0; i < p->count; i++) {
        if (p->transforms[i].type == TRANSFORM_KEY_EXCHANGE) {
            has_groups = true;
            has_known = has_known || strongswan_word(e, &p->transforms[i], word);
        }
    }
    return has_known || !has_groups;
}

static void strongswan_proposal(const struct export_peer *e, const struct proposal *p,
                                bool with_groups, struct sheet *out)
{
    char word[WORD_BYTES];
    bool first = true;

    for (size_t i = 0; i < p->count; i++) {
        if ((with_groups || p->transforms[i].type != TRANSFORM_KEY_EXCHANGE) &&
            strongswan_word(e, &p->transforms[i], word)) {
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
        if (strongswan_takes(e, &list->list[i]) &&
            (child || export_is_for_ike(e, &list->list[i]))) {
            sheet_add(out, first ? "" : ", ");
            strongswan_proposal(e, &list->list[i], true, out);
            first = false;
        }
    }
    for (size_t i = 0; child && e->site->pfs == PFS_PREFER && i < list->count; i++) {
        sheet_add(out, ", ");
        strongswan_proposal(e, &list->list[i], false, out);
    }
    sheet_add(out, "\n");
}

static void strongswan_child(const struct export_peer *e, const char *name,
                             const struct network *theirs, size_t their_count,
                             const struct network *ours, size_t our_count, struct sheet *out)
{
    sheet_addf(out, "      %s {\n        local_ts = ", name);
    export_networks(theirs, their_count, ", ", out);
    sheet_add(out, "\n        remote_ts = ");
    export_networks(ours, our_count, ", ", out);
    sheet_add(out, "\n        esp_proposals = ");
    strongswan_proposals(e, e->site->esp, true, out);
    sheet_addf(out, "        rekey_time = %llus\n        start_action = %s\n      }\n",
               export_seconds(e->site->child_lifetime_ms),
               e->site->start == START_WAIT ? "start" : "trap");
}

static void strongswan_children(const struct export_peer *e, struct sheet *out)
{
    char name[CONFIG_NAME_BYTES + 48];
    struct export_pair pair;

    if (!export_is_pairs(e)) {
        strongswan_child(e, e->name, e->peer_networks, e->peer_count, e->our_networks, e->our_count,
                         out);
        return;
    }
    for (size_t place = 0; export_next_pair(e, &place, &pair);) {
        snprintf(name, sizeof(name), "%s-%zu-%zu", e->name, pair.number, pair.our_number);
        strongswan_child(e, name, pair.theirs, 1, pair.ours, 1, out);
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
        export_hex(e->secret, out);
    } else {
        sheet_addf(out, "\"\" # the key @%s of site %s: export again --with-secret",
                   e->site->key.name, e->site->name);
    }
    sheet_add(out, "\n  }\n}\n");
}

/* A name that no program takes for an address, a subject or anything else; all others as octets,
 * which both write in the same way. */
static void add_ppk_id(const struct config_ppk *ppk, struct sheet *out)
{
    size_t plain =
        strspn(ppk->id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");
    bool digit = ppk->id[0] >= '0' && ppk->id[0] <= '9';

    if (ppk->id[plain] == '\0' && !digit) {
        sheet_add(out, ppk->id);
        return;
    }
    sheet_add(out, "\"@#");
    for (size_t i = 0; i < ppk->id_length; i++) {
        sheet_addf(out, "%02x", ppk->id_bytes[i]);
    }
    sheet_add(out, "\"");
}

static void strongswan_ppk_secret(const struct export_peer *e, struct sheet *out)
{
    const struct config_ppk *ppk = e->site->ppk;

    if (ppk == NULL || export_is_old(e)) {
        return;
    }
    sheet_addf(out, "secrets {\n  ppk-%s {\n    id-1 = ", e->name);
    add_ppk_id(ppk, out);
    sheet_add(out, "\n    secret = ");
    if (e->ppk.length > 0) {
        export_hex(e->ppk, out);
    } else {
        sheet_addf(out, "\"\" # the PPK @%s of site %s: export again --with-secret",
                   ppk->secret.name, e->site->name);
    }
    sheet_add(out, "\n  }\n}\n");
}

static void write_swanctl(const struct export_peer *e, struct sheet *out)
{
    const struct config_site *site = e->site;
    const char *method = site->key.name != NULL ? "psk" : "pubkey";

    sheet_addf(out, "connections {\n  %s {\n    version = %u\n", e->name, export_is_old(e) ? 1 : 2);
    if (export_is_old(e)) {
        sheet_addf(out, "    aggressive = %s\n", site->aggressive ? "yes" : "no");
    }
    if (e->peer_address != NULL) {
        sheet_addf(out, "    local_addrs = %s\n", e->peer_address);
    }
    sheet_addf(out, "    remote_addrs = %s\n    proposals = ", e->our_address);
    strongswan_proposals(e, site->ike, false, out);
    sheet_addf(out, "    rekey_time = %llus\n", export_seconds(site->ike_lifetime_ms));
    sheet_addf(out, "    dpd_delay = %llus\n",
               site->dpd_ms == NEVER_MS ? 0ULL : export_seconds(site->dpd_ms));
    sheet_addf(out, "    encap = %s\n    fragmentation = %s\n    mobike = no\n",
               site->encapsulate == ENCAPSULATE_ALWAYS ? "yes" : "no",
               site->fragmentation ? "yes" : "no");
    if (site->ppk != NULL && !export_is_old(e)) {
        sheet_add(out, "    ppk_id = ");
        add_ppk_id(site->ppk, out);
        sheet_addf(out, "\n    ppk_required = %s\n", site->ppk->required ? "yes" : "no");
    }
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
    strongswan_ppk_secret(e, out);
}

void export_strongswan(const struct export_peer *e, struct sheet *out)
{
    sheet_addf(out,
               "# /etc/swanctl/conf.d/%s.conf of %s, made by: sekisho export-peer %s --for "
               "strongswan\n# Then: swanctl --load-all\n",
               e->name, e->site->name, e->site->name);
    if (export_is_old(e) && e->site->aggressive && e->site->key.name != NULL) {
        sheet_add(out, "# To be called so, strongSwan needs in strongswan.conf: "
                       "i_dont_care_about_security_and_use_aggressive_mode_psk = yes\n");
    }
    write_swanctl(e, out);
}

void export_opnsense(const struct export_peer *e, struct sheet *out)
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
            p->transforms[i].type == type ? export_words_of(&p->transforms[i]) : NULL;

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
            p->transforms[i].type == type ? export_words_of(&p->transforms[i]) : NULL;

        if (w != NULL && w->libreswan != NULL) {
            return true;
        }
    }
    return false;
}

/* cipher+cipher-hash+hash-group+group; with pfs its groups are those of the first proposal. */
static void libreswan_proposals(const struct export_peer *e, const char *word, bool ike, bool pfs,
                                struct sheet *out)
{
    const struct proposals *list = ike ? e->site->ike : e->site->esp;
    bool first = true;

    for (size_t i = 0; i < list->count; i++) {
        const struct proposal *p = &list->list[i];
        bool hashed = has_known(p, TRANSFORM_INTEGRITY);

        if (!has_known(p, TRANSFORM_ENCRYPTION) ||
            (ike && (!has_known(p, TRANSFORM_KEY_EXCHANGE) || !export_is_for_ike(e, p)))) {
            continue;
        }
        sheet_addf(out, "%s%s", first ? word : ",", first ? "=" : "");
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
    if (first) {
        sheet_addf(out, "# %s: nothing of what this site offers is known there", word);
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

    sheet_addf(out, "conn %s\n\tikev2=%s\n\tleft=%s\n\tleftid=%s\n", name,
               export_is_old(e) ? "no" : "insist",
               e->peer_address != NULL ? e->peer_address : "%defaultroute",
               libreswan_id(e->peer_identity, id));
    sheet_addf(out, "\tleftsubnet=%s\n", network_format(theirs, text));
    if (site->key.name == NULL) {
        sheet_addf(out, "\tleftcert=%s\n\tleftsendcert=always\n", site->name);
    }
    sheet_addf(out, "\tright=%s\n\trightid=%s\n", e->our_address,
               libreswan_id(e->our_identity, id));
    sheet_addf(out, "\trightsubnet=%s\n", network_format(ours, text));
    sheet_add(out, site->key.name != NULL ? "\tauthby=secret\n"
                                          : "\trightca=%same\n\t# authby=rsasig for a certificate "
                                            "with an RSA key\n\tauthby=ecdsa\n");
    sheet_add(out, "\t");
    libreswan_proposals(e, "ike", true, true, out);
    sheet_add(out, "\t");
    libreswan_proposals(e, "esp", false, site->pfs != PFS_OFF, out);
    if (export_is_old(e)) {
        sheet_addf(out, "\taggressive=%s\n", site->aggressive ? "yes" : "no");
    }
    sheet_addf(out, "\tpfs=%s\n\tikelifetime=%llus\n\tsalifetime=%llus\n",
               site->pfs == PFS_OFF ? "no" : "yes", export_seconds(site->ike_lifetime_ms),
               export_seconds(site->child_lifetime_ms));
    if (site->dpd_ms != NEVER_MS) {
        sheet_addf(out, "\tdpddelay=%llus\n\tdpdtimeout=%llus\n\tdpdaction=hold\n",
                   export_seconds(site->dpd_ms), 4 * export_seconds(site->dpd_ms));
    }
    sheet_addf(out, "\tencapsulation=%s\n\tfragmentation=%s\n\tauto=%s\n",
               site->encapsulate == ENCAPSULATE_ALWAYS  ? "yes"
               : site->encapsulate == ENCAPSULATE_NEVER ? "no"
                                                        : "auto",
               site->fragmentation ? "yes" : "no",
               site->start == START_WAIT ? "start" : "ondemand");
}

void export_libreswan(const struct export_peer *e, struct sheet *out)
{
    bool several = export_pair_count(e) > 1;
    struct export_pair pair;
    char name[CONFIG_NAME_BYTES + 48];
    char id[300];

    sheet_addf(out,
               "# /etc/ipsec.d/%s.conf of %s, made by: sekisho export-peer %s --for libreswan\n",
               e->name, e->site->name, e->site->name);
    if (several && !export_is_pairs(e)) {
        sheet_addf(out,
                   "# It has a connection for each pair of networks: say 'children per-pair' "
                   "in site %s too.\n",
                   e->site->name);
    }
    for (size_t place = 0; export_next_pair(e, &place, &pair);) {
        snprintf(name, sizeof(name), several ? "%s-%zu-%zu" : "%s", e->name, pair.number,
                 pair.our_number);
        libreswan_conn(e, name, pair.theirs, pair.ours, out);
    }
    if (e->site->key.name == NULL) {
        return;
    }
    sheet_addf(out, "# Into /etc/ipsec.d/%s.secrets:\n# ", e->name);
    sheet_addf(out, "%s ", libreswan_id(e->peer_identity, id));
    sheet_addf(out, "%s : PSK ", libreswan_id(e->our_identity, id));
    if (e->secret.length > 0) {
        export_hex(e->secret, out);
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

void export_sekisho(const struct export_peer *e, struct sheet *out)
{
    const struct config_site *site = e->site;
    static const char *const pfs[] = {"prefer", "on", "off"};
    static const char *const encapsulate[] = {"auto", "always", "never"};

    sheet_addf(out,
               "# sekisho.conf of %s, made by: sekisho export-peer %s --for sekisho\n"
               "# On a gateway that has one already only the block belongs there.\n",
               site->name, site->name);
    sheet_addf(out, "gateway %s\nlan ", e->peer_identity);
    export_networks(e->peer_networks, e->peer_count, " ", out);
    sheet_addf(out, "\nsite %s {\n  peer %s\n  network ", e->name, e->our_address);
    export_networks(e->our_networks, e->our_count, " ", out);
    sheet_addf(out, "\n  identity %s\n", e->our_identity);
    if (site->key.name != NULL) {
        sheet_addf(out, "  key @%s\n", e->name);
    }
    if (site->ppk != NULL) {
        sheet_addf(out, "  ppk @%s-ppk id ", e->name);
        add_ppk_id(site->ppk, out);
        sheet_addf(out, "%s %s\n", site->ppk->opaque ? " opaque" : "",
                   site->ppk->required ? "required" : "prefer");
    }
    if (site->legacy != NULL) {
        sheet_addf(out, "  legacy %s\n", site->legacy);
    }
    if (export_is_old(e)) {
        sheet_addf(out, "  ike v1%s\n", site->aggressive ? " aggressive" : "");
    }
    sekisho_proposals("ike", site->ike, site->ike_is_default, out);
    sekisho_proposals("esp", site->esp, site->esp_is_default, out);
    sheet_addf(out, "  pfs %s\n  encapsulate %s\n  children %s\n", pfs[site->pfs],
               encapsulate[site->encapsulate], export_is_pairs(e) ? "per-pair" : "together");
    sheet_addf(out, "  lifetime ike %llus child %llus\n", export_seconds(site->ike_lifetime_ms),
               export_seconds(site->child_lifetime_ms));
    if (!site->fragmentation) {
        sheet_add(out, "  fragmentation off\n");
    }
    if (site->carriage.compress) {
        sheet_add(out, "  compress on\n");
    }
    sheet_add(out, "}\n");
    if (site->key.name != NULL) {
        sheet_addf(out, "# The key, there: sekisho secret set %s\n# ", e->name);
        export_secret(e, "(export again --with-secret, or take it from here)", out);
        sheet_add(out, "\n");
    }
    if (site->ppk != NULL) {
        sheet_addf(out, "# The PPK, there: sekisho secret set %s-ppk\n# ", e->name);
        export_text(e->ppk, "(export again --with-secret, or take it from here)", out);
        sheet_add(out, "\n");
    }
}
