/*
 * Decides how an IKEv1 message is shown to people: one line in the notation of RFC 2409 3.2, then
 * what each payload says. Keys, nonces, hashes, signatures, names of users and passwords are shown
 * by their lengths only; what a peer chose is escaped.
 */
#include "wire/ikev1.h"
#include "wire/number_names.h"

#define VENDOR_OCTETS_SHOWN 32
#define SPI_OCTETS_SHOWN 16
#define VERSION_1_0 0x10

static const struct number_name protocols[] = {
    {IKEV1_PROTO_ISAKMP, "ISAKMP"},
    {IKEV1_PROTO_AH, "AH"},
    {IKEV1_PROTO_ESP, "ESP"},
    {IKEV1_PROTO_IPCOMP, "IPCOMP"},
};

static const struct number_name encryption_names[] = {
    {IKEV1_DES_CBC, "DES"},           {IKEV1_IDEA_CBC, "IDEA"},
    {IKEV1_BLOWFISH_CBC, "BLOWFISH"}, {IKEV1_RC5_CBC, "RC5"},
    {IKEV1_3DES_CBC, "3DES"},         {IKEV1_CAST_CBC, "CAST"},
    {IKEV1_AES_CBC, "AES_CBC"},       {IKEV1_CAMELLIA_CBC, "CAMELLIA_CBC"},
};

static const struct number_name hash_names[] = {
    {IKEV1_HASH_MD5, "MD5"},           {IKEV1_HASH_SHA1, "SHA1"},
    {IKEV1_HASH_TIGER, "TIGER"},       {IKEV1_HASH_SHA2_256, "SHA2_256"},
    {IKEV1_HASH_SHA2_384, "SHA2_384"}, {IKEV1_HASH_SHA2_512, "SHA2_512"},
};

static const struct number_name auth_names[] = {
    {IKEV1_AUTH_SHARED_KEY, "pre-shared key"},
    {IKEV1_AUTH_DSS_SIGNATURE, "DSS signatures"},
    {IKEV1_AUTH_RSA_SIGNATURE, "RSA signatures"},
    {IKEV1_AUTH_RSA_ENCRYPTION, "RSA encryption"},
    {IKEV1_AUTH_RSA_REVISED, "revised RSA encryption"},
    {IKEV1_AUTH_ECDSA_256, "ECDSA P-256"},
    {IKEV1_AUTH_ECDSA_384, "ECDSA P-384"},
    {IKEV1_AUTH_ECDSA_521, "ECDSA P-521"},
    {IKEV1_HYBRID_INIT_RSA, "hybrid RSA"},
    {IKEV1_HYBRID_RESP_RSA, "hybrid RSA of the responder"},
    {IKEV1_HYBRID_INIT_DSS, "hybrid DSS"},
    {IKEV1_HYBRID_RESP_DSS, "hybrid DSS of the responder"},
    {IKEV1_XAUTH_INIT_SHARED_KEY, "XAUTH with pre-shared key"},
    {IKEV1_XAUTH_RESP_SHARED_KEY, "XAUTH of the responder with pre-shared key"},
    {IKEV1_XAUTH_INIT_DSS, "XAUTH with DSS signatures"},
    {IKEV1_XAUTH_RESP_DSS, "XAUTH of the responder with DSS signatures"},
    {IKEV1_XAUTH_INIT_RSA, "XAUTH with RSA signatures"},
    {IKEV1_XAUTH_RESP_RSA, "XAUTH of the responder with RSA signatures"},
    {IKEV1_XAUTH_INIT_RSA_ENCRYPTION, "XAUTH with RSA encryption"},
    {IKEV1_XAUTH_RESP_RSA_ENCRYPTION, "XAUTH of the responder with RSA encryption"},
    {IKEV1_XAUTH_INIT_RSA_REVISED, "XAUTH with revised RSA encryption"},
    {IKEV1_XAUTH_RESP_RSA_REVISED, "XAUTH of the responder with revised RSA encryption"},
};

static const struct number_name group_names[] = {
    {1, "MODP_768"},       {2, "MODP_1024"},      {3, "EC2N_155"},       {4, "EC2N_185"},
    {5, "MODP_1536"},      {14, "MODP_2048"},     {15, "MODP_3072"},     {16, "MODP_4096"},
    {17, "MODP_6144"},     {18, "MODP_8192"},     {19, "ECP_256"},       {20, "ECP_384"},
    {21, "ECP_521"},       {22, "MODP_1024_160"}, {23, "MODP_2048_224"}, {24, "MODP_2048_256"},
    {25, "ECP_192"},       {26, "ECP_224"},       {27, "BRAINPOOL_224"}, {28, "BRAINPOOL_256"},
    {29, "BRAINPOOL_384"}, {30, "BRAINPOOL_512"}, {31, "X25519"},        {32, "X448"},
};

static const struct number_name ah_names[] = {
    {IKEV1_AH_MD5, "MD5"},
    {IKEV1_AH_SHA1, "SHA1"},
    {IKEV1_AH_DES, "DES"},
    {IKEV1_AH_SHA2_256, "SHA2_256"},
    {IKEV1_AH_SHA2_384, "SHA2_384"},
    {IKEV1_AH_SHA2_512, "SHA2_512"},
    {IKEV1_AH_RIPEMD, "RIPEMD"},
    {IKEV1_AH_AES_XCBC, "AES_XCBC"},
    {IKEV1_AH_AES_128_GMAC, "AES_128_GMAC"},
    {IKEV1_AH_AES_192_GMAC, "AES_192_GMAC"},
    {IKEV1_AH_AES_256_GMAC, "AES_256_GMAC"},
};

static const struct number_name esp_names[] = {
    {IKEV1_ESP_DES_IV64, "DES_IV64"},
    {IKEV1_ESP_DES, "DES"},
    {IKEV1_ESP_3DES, "3DES"},
    {4, "RC5"},
    {5, "IDEA"},
    {6, "CAST"},
    {7, "BLOWFISH"},
    {8, "3IDEA"},
    {9, "DES_IV32"},
    {10, "RC4"},
    {IKEV1_ESP_NULL, "NULL"},
    {IKEV1_ESP_AES_CBC, "AES_CBC"},
    {IKEV1_ESP_AES_CTR, "AES_CTR"},
    {IKEV1_ESP_AES_CCM_8, "AES_CCM_8"},
    {IKEV1_ESP_AES_CCM_12, "AES_CCM_12"},
    {IKEV1_ESP_AES_CCM_16, "AES_CCM_16"},
    {IKEV1_ESP_AES_GCM_8, "AES_GCM_8"},
    {IKEV1_ESP_AES_GCM_12, "AES_GCM_12"},
    {IKEV1_ESP_AES_GCM_16, "AES_GCM_16"},
    {IKEV1_ESP_SEED_CBC, "SEED_CBC"},
    {IKEV1_ESP_CAMELLIA_CBC, "CAMELLIA_CBC"},
    {IKEV1_ESP_NULL_AES_GMAC, "NULL_AUTH_AES_GMAC"},
};

static const struct number_name ipcomp_names[] = {
    {IKEV1_IPCOMP_OUI, "OUI"},
    {IKEV1_IPCOMP_DEFLATE, "DEFLATE"},
    {IKEV1_IPCOMP_LZS, "LZS"},
    {IKEV1_IPCOMP_LZJH, "LZJH"},
};

static const struct number_name auth_algorithm_names[] = {
    {IKEV1_HMAC_MD5, "HMAC_MD5"},
    {IKEV1_HMAC_SHA1, "HMAC_SHA1"},
    {IKEV1_DES_MAC, "DES_MAC"},
    {IKEV1_KPDK, "KPDK"},
    {IKEV1_HMAC_SHA2_256, "HMAC_SHA2_256"},
    {IKEV1_HMAC_SHA2_384, "HMAC_SHA2_384"},
    {IKEV1_HMAC_SHA2_512, "HMAC_SHA2_512"},
    {IKEV1_HMAC_RIPEMD, "HMAC_RIPEMD"},
    {IKEV1_AES_XCBC_MAC, "AES_XCBC_MAC"},
    {IKEV1_AES_128_GMAC, "AES_128_GMAC"},
    {IKEV1_AES_192_GMAC, "AES_192_GMAC"},
    {IKEV1_AES_256_GMAC, "AES_256_GMAC"},
};

static const struct number_name encapsulation_names[] = {
    {IKEV1_TUNNEL, "tunnel"},
    {IKEV1_TRANSPORT, "transport"},
    {IKEV1_UDP_TUNNEL, "tunnel in UDP"},
    {IKEV1_UDP_TRANSPORT, "transport in UDP"},
    {IKEV1_UDP_TUNNEL_DRAFT, "tunnel in UDP (draft)"},
    {IKEV1_UDP_TRANSPORT_DRAFT, "transport in UDP (draft)"},
};

static const struct number_name id_names[] = {
    {IKEV1_ID_IPV4_ADDR, "IPV4_ADDR"},
    {IKEV1_ID_FQDN, "FQDN"},
    {IKEV1_ID_USER_FQDN, "USER_FQDN"},
    {IKEV1_ID_IPV4_ADDR_SUBNET, "IPV4_ADDR_SUBNET"},
    {IKEV1_ID_IPV6_ADDR, "IPV6_ADDR"},
    {IKEV1_ID_IPV6_ADDR_SUBNET, "IPV6_ADDR_SUBNET"},
    {IKEV1_ID_IPV4_ADDR_RANGE, "IPV4_ADDR_RANGE"},
    {IKEV1_ID_IPV6_ADDR_RANGE, "IPV6_ADDR_RANGE"},
    {IKEV1_ID_DER_ASN1_DN, "DER_ASN1_DN"},
    {IKEV1_ID_DER_ASN1_GN, "DER_ASN1_GN"},
    {IKEV1_ID_KEY_ID, "KEY_ID"},
};

static const struct number_name cert_names[] = {
    {IKEV1_CERT_NONE, "NONE"},
    {IKEV1_CERT_PKCS7, "PKCS7"},
    {IKEV1_CERT_PGP, "PGP"},
    {IKEV1_CERT_DNS, "DNS_SIGNED_KEY"},
    {IKEV1_CERT_X509_SIGNATURE, "X509_SIGNATURE"},
    {IKEV1_CERT_X509_KEY_EXCHANGE, "X509_KEY_EXCHANGE"},
    {IKEV1_CERT_KERBEROS, "KERBEROS"},
    {IKEV1_CERT_CRL, "CRL"},
    {IKEV1_CERT_ARL, "ARL"},
    {IKEV1_CERT_SPKI, "SPKI"},
    {IKEV1_CERT_X509_ATTRIBUTE, "X509_ATTRIBUTE"},
};

static const struct number_name cfg_names[] = {
    {IKEV1_CFG_REQUEST, "REQUEST"},
    {IKEV1_CFG_REPLY, "REPLY"},
    {IKEV1_CFG_SET, "SET"},
    {IKEV1_CFG_ACK, "ACK"},
};

static const struct number_name cfg_attribute_names[] = {
    {IKEV1_INTERNAL_IP4_ADDRESS, "INTERNAL_IP4_ADDRESS"},
    {IKEV1_INTERNAL_IP4_NETMASK, "INTERNAL_IP4_NETMASK"},
    {IKEV1_INTERNAL_IP4_DNS, "INTERNAL_IP4_DNS"},
    {IKEV1_INTERNAL_IP4_NBNS, "INTERNAL_IP4_NBNS"},
    {IKEV1_INTERNAL_ADDRESS_EXPIRY, "INTERNAL_ADDRESS_EXPIRY"},
    {IKEV1_INTERNAL_IP4_DHCP, "INTERNAL_IP4_DHCP"},
    {IKEV1_APPLICATION_VERSION, "APPLICATION_VERSION"},
    {IKEV1_INTERNAL_IP6_ADDRESS, "INTERNAL_IP6_ADDRESS"},
    {IKEV1_INTERNAL_IP6_NETMASK, "INTERNAL_IP6_NETMASK"},
    {IKEV1_INTERNAL_IP6_DNS, "INTERNAL_IP6_DNS"},
    {IKEV1_INTERNAL_IP6_NBNS, "INTERNAL_IP6_NBNS"},
    {IKEV1_INTERNAL_IP6_DHCP, "INTERNAL_IP6_DHCP"},
    {IKEV1_INTERNAL_IP4_SUBNET, "INTERNAL_IP4_SUBNET"},
    {IKEV1_SUPPORTED_ATTRIBUTES, "SUPPORTED_ATTRIBUTES"},
    {IKEV1_INTERNAL_IP6_SUBNET, "INTERNAL_IP6_SUBNET"},
    {IKEV1_XAUTH_TYPE, "XAUTH_TYPE"},
    {IKEV1_XAUTH_USER_NAME, "XAUTH_USER_NAME"},
    {IKEV1_XAUTH_USER_PASSWORD, "XAUTH_USER_PASSWORD"},
    {IKEV1_XAUTH_PASSCODE, "XAUTH_PASSCODE"},
    {IKEV1_XAUTH_MESSAGE, "XAUTH_MESSAGE"},
    {IKEV1_XAUTH_CHALLENGE, "XAUTH_CHALLENGE"},
    {IKEV1_XAUTH_DOMAIN, "XAUTH_DOMAIN"},
    {IKEV1_XAUTH_STATUS, "XAUTH_STATUS"},
    {IKEV1_XAUTH_NEXT_PIN, "XAUTH_NEXT_PIN"},
    {IKEV1_XAUTH_ANSWER, "XAUTH_ANSWER"},
    {IKEV1_UNITY_BANNER, "UNITY_BANNER"},
    {IKEV1_UNITY_SAVE_PASSWORD, "UNITY_SAVE_PASSWORD"},
    {IKEV1_UNITY_DEFAULT_DOMAIN, "UNITY_DEFAULT_DOMAIN"},
    {IKEV1_UNITY_SPLIT_DNS, "UNITY_SPLIT_DNS"},
    {IKEV1_UNITY_SPLIT_INCLUDE, "UNITY_SPLIT_INCLUDE"},
    {IKEV1_UNITY_NATT_PORT, "UNITY_NATT_PORT"},
    {IKEV1_UNITY_LOCAL_LAN, "UNITY_LOCAL_LAN"},
    {IKEV1_UNITY_PFS, "UNITY_PFS"},
    {IKEV1_UNITY_FIREWALL, "UNITY_FIREWALL"},
    {IKEV1_UNITY_BACKUP_SERVERS, "UNITY_BACKUP_SERVERS"},
    {IKEV1_UNITY_DDNS_HOSTNAME, "UNITY_DDNS_HOSTNAME"},
};

/* --- the first line --- */

static void add_payload_name(struct text *out, uint8_t type)
{
    const char *name = ikev1_payload_name(type);

    if (name != NULL) {
        text_add(out, name);
    } else {
        text_addf(out, "payload %u", type);
    }
}

static void add_notify_name(struct text *out, uint16_t type)
{
    const char *name = ikev1_notify_name(type);

    if (name != NULL) {
        text_add(out, name);
    } else {
        text_addf(out, "%u", type);
    }
}

static void add_in_list(struct text *out, const struct ikev1_payload *p)
{
    struct ikev1_notify_payload n;

    add_payload_name(out, p->type);
    if (p->type == IKEV1_NOTIFY && ikev1_read_notify(p->body, &n)) {
        text_add(out, "(");
        add_notify_name(out, n.type);
        text_add(out, ")");
    } else if (p->type == IKEV1_ATTRIBUTES && p->body.length > 0) {
        text_add(out, "(");
        ADD_NAME(out, cfg_names, p->body.data[0]);
        text_add(out, ")");
    }
}

static void add_list(struct text *out, const struct ikev1_header *h, uint8_t first,
                     struct slice payloads)
{
    struct reader r = reader_over(payloads);
    struct ikev1_payload p;
    uint8_t next = first;

    text_add(out, (h->flags & IKEV1_FLAG_ENCRYPTED) != 0 ? "HDR*" : "HDR");
    for (unsigned i = 0; i < IKEV1_PAYLOADS_MAX && ikev1_read_payload(&r, &next, &p); i++) {
        text_add(out, ", ");
        add_in_list(out, &p);
    }
    if (!reader_ok(&r) || next != IKEV1_NO_NEXT_PAYLOAD) {
        text_add(out, ", malformed");
    }
}

static void add_header_line(struct text *out, const struct ikev1_header *h)
{
    const char *exchange = ikev1_exchange_name(h->exchange);

    text_add(out, "\n  HDR ");
    if (exchange != NULL) {
        text_add(out, exchange);
    } else {
        text_addf(out, "exchange %u", h->exchange);
    }
    text_addf(out, ", message ID %08x, cookies %016llx %016llx", (unsigned)h->message_id,
              (unsigned long long)h->cookie_i, (unsigned long long)h->cookie_r);
    if ((h->flags & IKEV1_FLAG_COMMIT) != 0) {
        text_add(out, ", commit bit");
    }
    if ((h->flags & IKEV1_FLAG_AUTHENTICATION_ONLY) != 0) {
        text_add(out, ", authentication only bit");
    }
    if (h->version != VERSION_1_0) {
        text_addf(out, ", version %u.%u", h->version >> 4, h->version & 15);
    }
}

/* --- the payloads --- */

static void add_octets(struct text *out, struct slice bytes)
{
    text_addf(out, "%zu octet%s", bytes.length, bytes.length == 1 ? "" : "s");
}

static void add_spi(struct text *out, struct slice spi)
{
    if (spi.length == 0) {
        return;
    }
    text_add(out, " ");
    if (spi.length > SPI_OCTETS_SHOWN) {
        add_octets(out, spi);
    } else {
        text_add_hex(out, spi);
    }
}

static void add_life(struct text *out, const struct ikev1_wire_transform *t)
{
    if (t->life_seconds != 0) {
        text_addf(out, " %llus", (unsigned long long)t->life_seconds);
    }
    if (t->life_kilobytes != 0) {
        text_addf(out, " %lluKB", (unsigned long long)t->life_kilobytes);
    }
}

static void add_phase1_transform(struct text *out, const struct ikev1_wire_transform *t)
{
    ADD_NAME(out, encryption_names, t->encryption);
    if (t->key_bits != 0) {
        text_addf(out, " %u", t->key_bits);
    }
    text_add(out, "/");
    ADD_NAME(out, hash_names, t->hash);
    text_add(out, "/");
    ADD_NAME(out, group_names, t->group);
    text_add(out, ", ");
    ADD_NAME(out, auth_names, t->auth_method);
}

static void add_transform_name(struct text *out, uint8_t protocol, uint8_t id)
{
    if (protocol == IKEV1_PROTO_AH) {
        ADD_NAME(out, ah_names, id);
    } else if (protocol == IKEV1_PROTO_ESP) {
        ADD_NAME(out, esp_names, id);
    } else if (protocol == IKEV1_PROTO_IPCOMP) {
        ADD_NAME(out, ipcomp_names, id);
    } else {
        text_addf(out, "%u", id);
    }
}

static void add_phase2_transform(struct text *out, uint8_t protocol,
                                 const struct ikev1_wire_transform *t)
{
    add_transform_name(out, protocol, t->id);
    if (t->key_bits != 0) {
        text_addf(out, " %u", t->key_bits);
    }
    if (t->auth_algorithm != 0) {
        text_add(out, "/");
        ADD_NAME(out, auth_algorithm_names, t->auth_algorithm);
    }
    if (t->group != 0) {
        text_add(out, "/");
        ADD_NAME(out, group_names, t->group);
    }
    if (t->encapsulation != 0) {
        text_add(out, ", ");
        ADD_NAME(out, encapsulation_names, t->encapsulation);
    }
    text_add(out, t->esn == 1 ? ", ESN" : "");
}

static void add_transform(struct text *out, uint8_t protocol, const struct ikev1_wire_transform *t)
{
    if (protocol == IKEV1_PROTO_ISAKMP) {
        add_phase1_transform(out, t);
    } else {
        add_phase2_transform(out, protocol, t);
    }
    add_life(out, t);
    text_add(out, t->unknown_attribute ? " with an unknown attribute" : "");
}

/* Each describe_X adds what stands between the name of a payload and the end of its line; false
 * when the body is malformed. */

static bool describe_sa(struct text *out, struct slice body)
{
    struct ikev1_sa_payload sa;

    if (!ikev1_read_sa(body, &sa)) {
        return false;
    }
    if (sa.proposal_count == 0) {
        text_addf(out, " DOI %u, situation %u", (unsigned)sa.doi, (unsigned)sa.situation);
    }
    for (unsigned i = 0; i < sa.proposal_count; i++) {
        const struct ikev1_wire_proposal *p = &sa.proposals[i];

        text_addf(out, "%s %u ", i == 0 ? "" : ";", p->number);
        ADD_NAME(out, protocols, p->protocol);
        add_spi(out, p->spi);
        text_add(out, ":");
        for (unsigned j = 0; j < p->count; j++) {
            text_add(out, j == 0 ? " " : " | ");
            add_transform(out, p->protocol, &sa.transforms[p->first + j]);
        }
    }
    return true;
}

static void add_address(struct text *out, enum family family, const uint8_t *bytes)
{
    char text[ADDRESS_TEXT_BYTES];
    struct address a =
        family == FAMILY_IPV4 ? address_ipv4_bytes(bytes) : address_ipv6_bytes(bytes);

    text_add(out, address_format(&a, text));
}

static bool describe_id(struct text *out, struct slice body)
{
    struct ikev1_id_payload id;
    struct selector selector;
    char text[SELECTOR_TEXT_BYTES];

    if (!ikev1_read_id(body, &id)) {
        return false;
    }
    text_add(out, " ");
    ADD_NAME(out, id_names, id.type);
    text_add(out, " ");
    if (ikev1_id_selector(&id, &selector)) {
        text_add(out, selector_format(&selector, text));
        return true;
    }
    text_add_escaped(out, id.data);
    if (id.protocol != 0 || id.port != 0) {
        text_addf(out, ", protocol %u port %u", id.protocol, id.port);
    }
    return true;
}

static bool describe_cert(struct text *out, struct slice body)
{
    struct ikev1_cert_payload cert;

    if (!ikev1_read_cert(body, &cert)) {
        return false;
    }
    text_add(out, " ");
    ADD_NAME(out, cert_names, cert.encoding);
    text_add(out, ", ");
    add_octets(out, cert.data);
    return true;
}

static bool describe_octets(struct text *out, struct slice body)
{
    text_add(out, " ");
    add_octets(out, body);
    return true;
}

/* RFC 2407 4.6.3.1: the lifetimes that the responder will keep, in attributes of the SA that the
 * notification is about. */
static bool add_lifetime(struct text *out, const struct ikev1_notify_payload *n)
{
    struct ikev1_wire_transform t = {0};

    if (n->type != IKEV1_RESPONDER_LIFETIME ||
        !ikev1_read_transform_attributes(n->protocol, n->data, &t)) {
        return false;
    }
    text_add(out, ",");
    add_life(out, &t);
    return true;
}

static bool describe_notify(struct text *out, struct slice body)
{
    struct ikev1_notify_payload n;

    if (!ikev1_read_notify(body, &n)) {
        return false;
    }
    text_add(out, " ");
    add_notify_name(out, n.type);
    text_add(out, " ");
    ADD_NAME(out, protocols, n.protocol);
    add_spi(out, n.spi);
    if (n.doi != IKEV1_DOI_IPSEC) {
        text_addf(out, ", DOI %u", (unsigned)n.doi);
    }
    bool counted = n.type == IKEV1_R_U_THERE || n.type == IKEV1_R_U_THERE_ACK;

    if (counted && n.data.length == 4) {
        text_addf(out, ", %u", (unsigned)get_u32(n.data.data));
    } else if (!add_lifetime(out, &n) && n.data.length > 0) {
        text_add(out, ", ");
        add_octets(out, n.data);
    }
    return true;
}

static bool describe_delete(struct text *out, struct slice body)
{
    struct ikev1_delete_payload d;

    if (!ikev1_read_delete(body, &d)) {
        return false;
    }
    text_add(out, " ");
    ADD_NAME(out, protocols, d.protocol);
    for (size_t i = 0; i < d.count && !out->cut; i++) {
        add_spi(out, (struct slice){d.spis.data + i * d.spi_bytes, d.spi_bytes});
    }
    return true;
}

static bool describe_vendor(struct text *out, struct slice body)
{
    size_t shown = body.length < VENDOR_OCTETS_SHOWN ? body.length : VENDOR_OCTETS_SHOWN;
    const char *name = ikev1_vendor_name(ikev1_vendor_of(body));

    text_add(out, " ");
    text_add_hex(out, (struct slice){body.data, shown});
    text_add(out, shown < body.length ? "... " : " ");
    if (name != NULL) {
        text_add(out, name);
    } else {
        text_add_escaped(out, (struct slice){body.data, shown});
    }
    return true;
}

static bool describe_nat_oa(struct text *out, struct slice body)
{
    struct address address;
    char text[ADDRESS_TEXT_BYTES];

    if (!ikev1_read_nat_oa(body, &address)) {
        return false;
    }
    text_addf(out, " %s", address_format(&address, text));
    return true;
}

static bool is_ipv4_attribute(uint16_t type)
{
    return (type >= IKEV1_INTERNAL_IP4_ADDRESS && type <= IKEV1_INTERNAL_IP4_NBNS) ||
           type == IKEV1_INTERNAL_IP4_DHCP;
}

/* What is secret or personal is shown by its length. */
static bool is_text_attribute(uint16_t type)
{
    return type == IKEV1_APPLICATION_VERSION || type == IKEV1_XAUTH_MESSAGE ||
           type == IKEV1_UNITY_BANNER || type == IKEV1_UNITY_DEFAULT_DOMAIN ||
           type == IKEV1_UNITY_SPLIT_DNS;
}

static void add_split_networks(struct text *out, struct slice value)
{
    struct reader r = reader_over(value);
    struct network network;
    char text[NETWORK_TEXT_BYTES];
    const char *between = "";

    while (!out->cut && ikev1_read_split_network(&r, &network)) {
        text_addf(out, "%s%s", between, network_format(&network, text));
        between = " ";
    }
    text_add(out, reader_ok(&r) ? "" : " malformed");
}

static void add_attribute_value(struct text *out, const struct ikev1_attribute *a)
{
    if (a->is_short) {
        text_addf(out, " %u", (unsigned)a->number);
        return;
    }
    if (a->value.length == 0) {
        return;
    }
    text_add(out, " ");
    if (is_ipv4_attribute(a->type) && a->value.length == 4) {
        add_address(out, FAMILY_IPV4, a->value.data);
    } else if (a->type == IKEV1_UNITY_SPLIT_INCLUDE || a->type == IKEV1_UNITY_LOCAL_LAN) {
        add_split_networks(out, a->value);
    } else if (is_text_attribute(a->type)) {
        text_add_escaped(out, a->value);
    } else {
        add_octets(out, a->value);
    }
}

static bool describe_cfg(struct text *out, struct slice body)
{
    struct ikev1_cfg_payload cfg;

    if (!ikev1_read_cfg(body, &cfg)) {
        return false;
    }
    text_add(out, " ");
    ADD_NAME(out, cfg_names, cfg.type);
    text_addf(out, " %u", cfg.identifier);
    for (unsigned i = 0; i < cfg.count; i++) {
        text_add(out, i == 0 ? ": " : ", ");
        ADD_NAME(out, cfg_attribute_names, cfg.attributes[i].type);
        add_attribute_value(out, &cfg.attributes[i]);
    }
    return true;
}

static bool describe_fragment(struct text *out, struct slice body)
{
    struct ikev1_fragment_payload f;

    if (!ikev1_read_fragment(body, &f)) {
        return false;
    }
    text_addf(out, " %u of message %u%s, ", f.number, f.identifier, f.last ? ", the last" : "");
    add_octets(out, f.data);
    return true;
}

static bool describe_one(struct text *out, const struct ikev1_payload *p)
{
    static const struct {
        uint8_t type;
        bool (*describe)(struct text *out, struct slice body);
    } table[] = {
        {IKEV1_SA, describe_sa},
        {IKEV1_ID, describe_id},
        {IKEV1_CERT, describe_cert},
        {IKEV1_CERTREQ, describe_cert},
        {IKEV1_NOTIFY, describe_notify},
        {IKEV1_DELETE, describe_delete},
        {IKEV1_VENDOR_ID, describe_vendor},
        {IKEV1_ATTRIBUTES, describe_cfg},
        {IKEV1_NAT_OA, describe_nat_oa},
        {IKEV1_NAT_OA_DRAFT_4, describe_nat_oa},
        {IKEV1_NAT_OA_DRAFT, describe_nat_oa},
        {IKEV1_FRAGMENT, describe_fragment},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        if (table[i].type == p->type) {
            return table[i].describe(out, p->body);
        }
    }
    return describe_octets(out, p->body);
}

void ikev1_describe(const struct ikev1_header *h, uint8_t first, struct slice payloads,
                    struct text *out)
{
    struct reader r = reader_over(payloads);
    struct ikev1_payload p;
    uint8_t next = first;

    add_list(out, h, first, payloads);
    add_header_line(out, h);
    for (unsigned i = 0; i < IKEV1_PAYLOADS_MAX && !out->cut && ikev1_read_payload(&r, &next, &p);
         i++) {
        text_add(out, "\n  ");
        add_payload_name(out, p.type);
        if (!describe_one(out, &p)) {
            text_addf(out, " malformed, %zu octets", p.body.length);
        }
    }
}
