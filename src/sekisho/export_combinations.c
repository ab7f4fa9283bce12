/* Products that want one combination get the first of ours that they can. */
#include <string.h>

#include "sekisho/export_words.h"

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

static bool is_address(const char *identity)
{
    struct address address;

    return address_parse(slice_of_text(identity), &address);
}

static const char *identity_kind(const char *identity)
{
    return is_address(identity) ? "address" : "fqdn";
}

/* ---- Cisco ---- */

/* "10.1.0.0 0.0.255.255": with the bits that do not matter, or with those that do. */
static void add_masked(const struct network *n, bool wildcard, struct sheet *out)
{
    char address[ADDRESS_TEXT_BYTES];
    char mask[ADDRESS_TEXT_BYTES];

    mask_text(n, wildcard, mask);
    sheet_addf(out, " %s %s", address_format(&n->address, address), mask);
}

/* An IPv4 list has no place for IPv6. */
static void cisco_list(const struct export_peer *e, struct sheet *out)
{
    struct export_pair pair;
    bool left_out = false;

    sheet_addf(out, "ip access-list extended %s\n", e->name);
    for (size_t place = 0; export_next_pair(e, &place, &pair);) {
        if (pair.ours->address.family != FAMILY_IPV4) {
            left_out = true;
            continue;
        }
        sheet_add(out, " permit ip");
        add_masked(pair.theirs, true, out);
        add_masked(pair.ours, true, out);
        sheet_add(out, "\n");
    }
    if (left_out) {
        sheet_add(out,
                  "! The IPv6 networks need a crypto map and an ipv6 access-list of their own.\n");
    }
}

/* One list for both families. */
static void asa_list(const struct export_peer *e, struct sheet *out)
{
    struct export_pair pair;
    char text[NETWORK_TEXT_BYTES];

    for (size_t place = 0; export_next_pair(e, &place, &pair);) {
        sheet_addf(out, "access-list %s extended permit ip", e->name);
        if (pair.ours->address.family == FAMILY_IPV4) {
            add_masked(pair.theirs, false, out);
            add_masked(pair.ours, false, out);
        } else {
            sheet_addf(out, " %s", network_format(pair.theirs, text));
            sheet_addf(out, " %s", network_format(pair.ours, text));
        }
        sheet_add(out, "\n");
    }
}

/* How its negotiation is called where IKEv1's is not meant by another word. */
static const char *isakmp_cipher(const char *cipher)
{
    return strcmp(cipher, "3des") == 0     ? "3des"
           : strstr(cipher, "256") != NULL ? "aes 256"
           : strstr(cipher, "192") != NULL ? "aes 192"
                                           : "aes 128";
}

static const char *isakmp_hash(const char *hash)
{
    return strcmp(hash, "sha1") == 0 ? "sha" : hash;
}

/* It proves its address in Main Mode, whatever its name is, and in Aggressive Mode the name. */
static void cisco_isakmp(const struct export_peer *e, const struct combination *ike,
                         struct sheet *out)
{
    bool numeric = is_address(e->our_address);

    sheet_addf(out,
               "crypto isakmp policy 10\n encryption %s\n hash %s\n authentication pre-share\n "
               "group %s\n lifetime %llu\n",
               isakmp_cipher(ike->cipher), isakmp_hash(ike->hash), ike->group,
               export_seconds(e->site->ike_lifetime_ms));
    if (e->site->aggressive) {
        sheet_addf(out,
                   "crypto isakmp peer %s %s\n set aggressive-mode client-endpoint %s %s\n "
                   "set aggressive-mode password ",
                   numeric ? "address" : "hostname", e->our_address,
                   is_address(e->peer_identity) ? "ipv4-address" : "fqdn", e->peer_identity);
    } else {
        sheet_addf(out, "crypto isakmp identity %s\n",
                   is_address(e->peer_identity) ? "address" : "hostname");
        sheet_add(out, "crypto isakmp key ");
    }
    export_secret(e, "KEY", out);
    if (!e->site->aggressive) {
        sheet_addf(out, " %s %s", numeric ? "address" : "hostname", e->our_address);
    }
    sheet_addf(out, "\ncrypto isakmp keepalive %llu 5 periodic\n",
               e->site->dpd_ms == NEVER_MS ? 30ULL : export_seconds(e->site->dpd_ms));
}

static void cisco_ikev2(const struct export_peer *e, const struct combination *ike,
                        struct sheet *out)
{
    const char *n = e->name;

    sheet_addf(out, "crypto ikev2 proposal %s\n encryption %s\n %s %s\n group %s\n", n, ike->cipher,
               ike->aead ? "prf" : "integrity", ike->hash, ike->group);
    sheet_addf(out, "crypto ikev2 policy %s\n proposal %s\n", n, n);
    sheet_addf(out, "crypto ikev2 keyring %s\n peer %s\n  address %s\n  pre-shared-key ", n, n,
               e->our_address);
    export_secret(e, "KEY", out);
    sheet_addf(out,
               "\ncrypto ikev2 profile %s\n match identity remote %s %s%s\n identity local %s "
               "%s\n authentication remote pre-share\n authentication local pre-share\n keyring "
               "local %s\n lifetime %llu\n dpd %llu 5 periodic\n",
               n, identity_kind(e->our_identity), e->our_identity,
               is_address(e->our_identity) ? " 255.255.255.255" : "",
               identity_kind(e->peer_identity), e->peer_identity, n,
               export_seconds(e->site->ike_lifetime_ms),
               e->site->dpd_ms == NEVER_MS ? 30ULL : export_seconds(e->site->dpd_ms));
}

void export_cisco_ios(const struct export_peer *e, struct sheet *out)
{
    struct combination ike;
    struct combination esp;
    const char *n = e->name;

    sheet_addf(out, "! IOS of %s, made by: sekisho export-peer %s --for cisco-ios\n", e->site->name,
               e->site->name);
    if (!export_choose(e, PRODUCT_CISCO, &ike, &esp, out)) {
        return;
    }
    export_pairs_remark(e, "!", out);
    (export_is_old(e) ? cisco_isakmp : cisco_ikev2)(e, &ike, out);
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
    cisco_list(e, out);
    sheet_addf(out, "crypto map SEKISHO 10 ipsec-isakmp\n set peer %s\n set transform-set %s\n",
               e->our_address, n);
    if (!export_is_old(e)) {
        sheet_addf(out, " set ikev2-profile %s\n", n);
    }
    sheet_addf(out, " set security-association lifetime seconds %llu\n",
               export_seconds(e->site->child_lifetime_ms));
    if (e->site->pfs != PFS_OFF && esp.group != NULL) {
        sheet_addf(out, " set pfs group%s\n", esp.group);
    }
    sheet_addf(out, " match address %s\n! On the interface outside: crypto map SEKISHO\n", n);
}

/* The words of the negotiation are IKEv1's from the policy to the key. */
static void asa_old(const struct export_peer *e, const struct combination *ike,
                    const struct combination *esp, struct sheet *out)
{
    const char *n = e->name;

    sheet_addf(out,
               "crypto ikev1 policy 10\n authentication pre-share\n encryption %s\n hash %s\n "
               "group %s\n lifetime %llu\ncrypto ikev1 enable outside\ncrypto isakmp identity "
               "%s\n",
               ike->cipher, ike->hash, ike->group, export_seconds(e->site->ike_lifetime_ms),
               is_address(e->peer_identity) ? "address" : "hostname");
    sheet_addf(out, "crypto ipsec ikev1 transform-set %s esp-%s esp-%s-hmac\n", n, esp->cipher,
               esp->hash);
    asa_list(e, out);
    sheet_addf(out,
               "crypto map SEKISHO 10 match address %s\ncrypto map SEKISHO 10 set peer %s\ncrypto "
               "map SEKISHO 10 set ikev1 transform-set %s\n",
               n, e->our_address, n);
    sheet_addf(out,
               "crypto map SEKISHO 10 set ikev1 phase1-mode %s\ncrypto map SEKISHO 10 set "
               "security-association lifetime seconds %llu\n",
               e->site->aggressive ? "aggressive" : "main",
               export_seconds(e->site->child_lifetime_ms));
    if (e->site->pfs != PFS_OFF && esp->group != NULL) {
        sheet_addf(out, "crypto map SEKISHO 10 set pfs group%s\n", esp->group);
    }
    sheet_addf(out,
               "crypto map SEKISHO interface outside\ntunnel-group %s type ipsec-l2l\n"
               "tunnel-group %s ipsec-attributes\n ikev1 pre-shared-key ",
               e->our_address, e->our_address);
    export_secret(e, "KEY", out);
    sheet_add(out, "\n");
}

void export_cisco_asa(const struct export_peer *e, struct sheet *out)
{
    struct combination ike;
    struct combination esp;
    const char *n = e->name;

    sheet_addf(out, "! ASA of %s, made by: sekisho export-peer %s --for cisco-asa\n", e->site->name,
               e->site->name);
    if (!export_choose(e, PRODUCT_ASA, &ike, &esp, out)) {
        return;
    }
    export_pairs_remark(e, "!", out);
    if (export_is_old(e)) {
        asa_old(e, &ike, &esp, out);
        return;
    }
    sheet_addf(out,
               "crypto ikev2 policy 10\n encryption %s\n integrity %s\n prf %s\n group %s\n "
               "lifetime seconds %llu\ncrypto ikev2 enable outside\n",
               ike.cipher, ike.aead ? "null" : ike.hash, ike.hash, ike.group,
               export_seconds(e->site->ike_lifetime_ms));
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
    asa_list(e, out);
    sheet_addf(out,
               "crypto map SEKISHO 10 match address %s\ncrypto map SEKISHO 10 set peer %s\ncrypto "
               "map SEKISHO 10 set ikev2 ipsec-proposal %s\ncrypto map SEKISHO 10 set "
               "security-association lifetime seconds %llu\n",
               n, e->our_address, n, export_seconds(e->site->child_lifetime_ms));
    if (e->site->pfs != PFS_OFF && esp.group != NULL) {
        sheet_addf(out, "crypto map SEKISHO 10 set pfs group%s\n", esp.group);
    }
    sheet_addf(out,
               "crypto map SEKISHO interface outside\ntunnel-group %s type ipsec-l2l\n"
               "tunnel-group %s ipsec-attributes\n ikev2 remote-authentication pre-shared-key ",
               e->our_address, e->our_address);
    export_secret(e, "KEY", out);
    sheet_add(out, "\n ikev2 local-authentication pre-shared-key ");
    export_secret(e, "KEY", out);
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

void export_fortigate(const struct export_peer *e, struct sheet *out)
{
    struct combination ike;
    struct combination esp;
    const char *n = e->name;
    struct address address;
    bool numeric = address_parse(slice_of_text(e->our_address), &address);
    struct export_pair pair;
    char text[NETWORK_TEXT_BYTES];
    size_t number = 0;

    sheet_addf(out, "# FortiOS of %s, made by: sekisho export-peer %s --for fortigate\n",
               e->site->name, e->site->name);
    if (!export_choose(e, PRODUCT_FORTIGATE, &ike, &esp, out)) {
        return;
    }
    export_pairs_remark(e, "#", out);
    sheet_addf(out,
               "config vpn ipsec phase1-interface\n    edit \"%.15s\"\n        set interface "
               "\"wan1\"\n        set ike-version %u\n        set keylife %llu\n",
               n, export_is_old(e) ? 1 : 2, export_seconds(e->site->ike_lifetime_ms));
    if (export_is_old(e)) {
        sheet_addf(out, "        set mode %s\n", e->site->aggressive ? "aggressive" : "main");
    }
    /* In Main Mode with a shared key no name can choose the key. */
    if (export_is_old(e) && !e->site->aggressive) {
        sheet_add(out, "        set peertype any\n");
    } else {
        sheet_addf(out, "        set peertype one\n        set peerid \"%s\"\n", e->our_identity);
    }
    sheet_add(out, "        set proposal ");
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
    export_secret(e, "KEY", out);
    sheet_add(out, "\n    next\nend\nconfig vpn ipsec phase2-interface\n");
    for (size_t place = 0; export_next_pair(e, &place, &pair);) {
        const char *six = pair.ours->address.family == FAMILY_IPV6 ? "6" : "";

        sheet_addf(out, "    edit \"%.15s-%zu\"\n        set phase1name \"%.15s\"\n", n, ++number,
                   n);
        sheet_add(out, "        set proposal ");
        fortigate_list(&esp, out);
        if (e->site->pfs == PFS_OFF || esp.group == NULL) {
            sheet_add(out, "\n        set pfs disable\n");
        } else {
            sheet_addf(out, "\n        set pfs enable\n        set dhgrp %s\n", esp.group);
        }
        sheet_addf(out, "        set keylifeseconds %llu\n        set auto-negotiate enable\n",
                   export_seconds(e->site->child_lifetime_ms));
        if (*six != 0) {
            sheet_add(out,
                      "        set src-addr-type subnet6\n        set dst-addr-type subnet6\n");
        }
        sheet_addf(out, "        set src-subnet%s %s\n", six, network_format(pair.theirs, text));
        sheet_addf(out, "        set dst-subnet%s %s\n    next\n", six,
                   network_format(pair.ours, text));
    }
    sheet_addf(out,
               "end\n# Routes to these networks by \"%.15s\", and policies both ways, are set by "
               "hand.\n",
               n);
}

/* ---- MikroTik ---- */

void export_mikrotik(const struct export_peer *e, struct sheet *out)
{
    struct combination ike;
    struct combination esp;
    const char *n = e->name;
    struct export_pair pair;
    char text[NETWORK_TEXT_BYTES];

    sheet_addf(out, "# RouterOS of %s, made by: sekisho export-peer %s --for mikrotik\n",
               e->site->name, e->site->name);
    if (!export_choose(e, PRODUCT_MIKROTIK, &ike, &esp, out)) {
        return;
    }
    export_pairs_remark(e, "#", out);
    sheet_addf(out, "/ip ipsec profile add name=%s enc-algorithm=%s hash-algorithm=%s ", n,
               ike.cipher, ike.hash);
    sheet_addf(out, "dh-group=%s lifetime=%llus dpd-interval=%llus nat-traversal=yes\n", ike.group,
               export_seconds(e->site->ike_lifetime_ms),
               e->site->dpd_ms == NEVER_MS ? 120ULL : export_seconds(e->site->dpd_ms));
    sheet_addf(out,
               "/ip ipsec proposal add name=%s enc-algorithms=%s%s auth-algorithms=%s "
               "lifetime=%llus pfs-group=%s\n",
               n, esp.cipher, esp.aead ? "" : "-cbc", esp.aead ? "null" : esp.hash,
               export_seconds(e->site->child_lifetime_ms),
               e->site->pfs == PFS_OFF || esp.group == NULL ? "none" : esp.group);
    sheet_addf(out, "/ip ipsec peer add name=%s address=%s exchange-mode=%s profile=%s\n", n,
               e->our_address,
               !export_is_old(e)     ? "ike2"
               : e->site->aggressive ? "aggressive"
                                     : "main",
               n);
    sheet_addf(out,
               "/ip ipsec identity add peer=%s auth-method=pre-shared-key my-id=%s:%s "
               "remote-id=%s:%s secret=\"",
               n, identity_kind(e->peer_identity), e->peer_identity, identity_kind(e->our_identity),
               e->our_identity);
    export_secret(e, "KEY", out);
    sheet_add(out, "\"\n");
    for (size_t place = 0; export_next_pair(e, &place, &pair);) {
        sheet_addf(out, "/ip ipsec policy add peer=%s proposal=%s tunnel=yes level=unique ", n, n);
        sheet_addf(out, "src-address=%s ", network_format(pair.theirs, text));
        sheet_addf(out, "dst-address=%s\n", network_format(pair.ours, text));
    }
}
