/*
 * Decides how an IKEv2 message is shown to people: one line in the notation of RFC 7296 1.2, then
 * what each payload says. Keys, nonces, signatures and what EAP carries are shown by their lengths
 * only; what a peer chose is escaped.
 */
#include "wire/ikev2.h"
#include "wire/number_names.h"

#define VENDOR_OCTETS_SHOWN 32
#define SPI_OCTETS_SHOWN 16

static const struct number_name protocols[] = {{1, "IKE"}, {2, "AH"}, {3, "ESP"}};

static const struct number_name transform_types[] = {
    {1, "ENCR"},    {2, "PRF"},     {3, "INTEG"},  {4, "KE"},      {5, "ESN"},
    {6, "ADDKE1"},  {7, "ADDKE2"},  {8, "ADDKE3"}, {9, "ADDKE4"},  {10, "ADDKE5"},
    {11, "ADDKE6"}, {12, "ADDKE7"}, {13, "KWA"},   {14, "GCAUTH"},
};

static const struct number_name encryption_names[] = {
    {1, "DES_IV64"},
    {2, "DES"},
    {3, "3DES"},
    {4, "RC5"},
    {5, "IDEA"},
    {6, "CAST"},
    {7, "BLOWFISH"},
    {8, "3IDEA"},
    {9, "DES_IV32"},
    {11, "NULL"},
    {12, "AES_CBC"},
    {13, "AES_CTR"},
    {14, "AES_CCM_8"},
    {15, "AES_CCM_12"},
    {16, "AES_CCM_16"},
    {18, "AES_GCM_8"},
    {19, "AES_GCM_12"},
    {20, "AES_GCM_16"},
    {21, "NULL_AUTH_AES_GMAC"},
    {23, "CAMELLIA_CBC"},
    {24, "CAMELLIA_CTR"},
    {25, "CAMELLIA_CCM_8"},
    {26, "CAMELLIA_CCM_12"},
    {27, "CAMELLIA_CCM_16"},
    {28, "CHACHA20_POLY1305"},
    {29, "AES_CCM_8_IIV"},
    {30, "AES_GCM_16_IIV"},
    {31, "CHACHA20_POLY1305_IIV"},
};

static const struct number_name prf_names[] = {
    {1, "HMAC_MD5"},      {2, "HMAC_SHA1"},     {3, "HMAC_TIGER"},    {4, "AES128_XCBC"},
    {5, "HMAC_SHA2_256"}, {6, "HMAC_SHA2_384"}, {7, "HMAC_SHA2_512"}, {8, "AES128_CMAC"},
};

static const struct number_name integrity_names[] = {
    {0, "NONE"},
    {1, "HMAC_MD5_96"},
    {2, "HMAC_SHA1_96"},
    {3, "DES_MAC"},
    {4, "KPDK_MD5"},
    {5, "AES_XCBC_96"},
    {6, "HMAC_MD5_128"},
    {7, "HMAC_SHA1_160"},
    {8, "AES_CMAC_96"},
    {9, "AES_128_GMAC"},
    {10, "AES_192_GMAC"},
    {11, "AES_256_GMAC"},
    {12, "HMAC_SHA2_256_128"},
    {13, "HMAC_SHA2_384_192"},
    {14, "HMAC_SHA2_512_256"},
};

static const struct number_name group_names[] = {
    {0, "NONE"},           {1, "MODP_768"},       {2, "MODP_1024"},      {5, "MODP_1536"},
    {14, "MODP_2048"},     {15, "MODP_3072"},     {16, "MODP_4096"},     {17, "MODP_6144"},
    {18, "MODP_8192"},     {19, "ECP_256"},       {20, "ECP_384"},       {21, "ECP_521"},
    {22, "MODP_1024_160"}, {23, "MODP_2048_224"}, {24, "MODP_2048_256"}, {25, "ECP_192"},
    {26, "ECP_224"},       {27, "BRAINPOOL_224"}, {28, "BRAINPOOL_256"}, {29, "BRAINPOOL_384"},
    {30, "BRAINPOOL_512"}, {31, "X25519"},        {32, "X448"},          {35, "ML_KEM_512"},
    {36, "ML_KEM_768"},    {37, "ML_KEM_1024"},
};

static const struct number_name esn_names[] = {{0, "NONE"}, {1, "YES"}};

static const struct number_name id_names[] = {
    {1, "IPV4_ADDR"},    {2, "FQDN"},    {3, "RFC822_ADDR"}, {5, "IPV6_ADDR"}, {9, "DER_ASN1_DN"},
    {10, "DER_ASN1_GN"}, {11, "KEY_ID"}, {12, "FC_NAME"},    {13, "NULL"},
};

static const struct number_name auth_names[] = {
    {1, "RSA_SIGNATURE"},      {2, "SHARED_KEY"},
    {3, "DSS_SIGNATURE"},      {9, "ECDSA_SHA256_P256"},
    {10, "ECDSA_SHA384_P384"}, {11, "ECDSA_SHA512_P521"},
    {12, "SECURE_PASSWORD"},   {13, "NULL"},
    {14, "DIGITAL_SIGNATURE"},
};

static const struct number_name cert_names[] = {
    {1, "PKCS7"},
    {2, "PGP"},
    {3, "DNS_SIGNED_KEY"},
    {4, "X509_SIGNATURE"},
    {6, "KERBEROS"},
    {7, "CRL"},
    {8, "ARL"},
    {9, "SPKI"},
    {10, "X509_ATTRIBUTE"},
    {11, "RAW_RSA_KEY"},
    {12, "X509_HASH_AND_URL"},
    {13, "X509_BUNDLE_HASH_AND_URL"},
    {14, "OCSP"},
    {15, "RAW_PUBLIC_KEY"},
};

static const struct number_name cp_names[] = {
    {1, "CFG_REQUEST"}, {2, "CFG_REPLY"}, {3, "CFG_SET"}, {4, "CFG_ACK"}};

static const struct number_name attribute_names[] = {
    {1, "INTERNAL_IP4_ADDRESS"},
    {2, "INTERNAL_IP4_NETMASK"},
    {3, "INTERNAL_IP4_DNS"},
    {4, "INTERNAL_IP4_NBNS"},
    {6, "INTERNAL_IP4_DHCP"},
    {7, "APPLICATION_VERSION"},
    {8, "INTERNAL_IP6_ADDRESS"},
    {10, "INTERNAL_IP6_DNS"},
    {12, "INTERNAL_IP6_DHCP"},
    {13, "INTERNAL_IP4_SUBNET"},
    {14, "SUPPORTED_ATTRIBUTES"},
    {15, "INTERNAL_IP6_SUBNET"},
    {16, "MIP6_HOME_PREFIX"},
    {17, "INTERNAL_IP6_LINK"},
    {18, "INTERNAL_IP6_PREFIX"},
    {19, "HOME_AGENT_ADDRESS"},
    {20, "P_CSCF_IP4_ADDRESS"},
    {21, "P_CSCF_IP6_ADDRESS"},
    {22, "FTT_KAT"},
    {24, "TIMEOUT_PERIOD_FOR_LIVENESS_CHECK"},
    {25, "INTERNAL_DNS_DOMAIN"},
    {26, "INTERNAL_DNSSEC_TA"},
};

static const struct number_name eap_codes[] = {
    {1, "request"}, {2, "response"}, {3, "success"}, {4, "failure"}};

/* --- the first line --- */

static bool is_response(const struct ikev2_header *h)
{
    return (h->flags & IKEV2_FLAG_RESPONSE) != 0;
}

/* RFC 7296 1.2, 1.3: SAi1 and SAr1 in IKE_SA_INIT, SAi2 and SAr2 in IKE_AUTH, SA later; KE and
 * nonces with the side. */
static void add_sided_name(struct text *out, const struct ikev2_header *h, uint8_t type)
{
    char side = is_response(h) ? 'r' : 'i';

    if (type == IKEV2_SA && h->exchange == IKEV2_IKE_SA_INIT) {
        text_addf(out, "SA%c1", side);
    } else if (type == IKEV2_SA && h->exchange == IKEV2_IKE_AUTH) {
        text_addf(out, "SA%c2", side);
    } else if (type == IKEV2_KE) {
        text_addf(out, "KE%c", side);
    } else if (type == IKEV2_NONCE) {
        text_addf(out, "N%c", side);
    } else if (ikev2_payload_name(type) != NULL) {
        text_add(out, ikev2_payload_name(type));
    } else {
        text_addf(out, "payload %u", type);
    }
}

static void add_notify_name(struct text *out, uint16_t type)
{
    const char *name = ikev2_notify_name(type);

    if (name != NULL) {
        text_add(out, name);
    } else {
        text_addf(out, "%u", type);
    }
}

static void add_in_list(struct text *out, const struct ikev2_header *h,
                        const struct ikev2_payload *p)
{
    struct ikev2_notify_payload n;

    add_sided_name(out, h, p->type);
    if (p->type == IKEV2_NOTIFY && ikev2_read_notify(p->body, &n)) {
        text_add(out, "(");
        add_notify_name(out, n.type);
        text_add(out, ")");
    } else if (p->type == IKEV2_CP && p->body.length > 0) {
        text_add(out, "(");
        ADD_NAME(out, cp_names, p->body.data[0]);
        text_add(out, ")");
    } else if (p->type == IKEV2_SK || p->type == IKEV2_SKF) {
        text_add(out, " {...}");
    }
}

static bool is_encrypted(uint8_t type)
{
    return type == IKEV2_SK || type == IKEV2_SKF;
}

static void add_list(struct text *out, const struct ikev2_header *h, uint8_t first,
                     struct slice payloads)
{
    struct reader r = reader_over(payloads);
    struct ikev2_payload p;
    /* The inner chain of a message whose outer one ends in SK. */
    bool inner = is_encrypted(h->next_payload) && !is_encrypted(first);
    const char *between = inner ? " {" : ", ";
    uint8_t next = first;

    text_add(out, "HDR");
    if (inner) {
        text_addf(out, ", %s", ikev2_payload_name(h->next_payload));
        text_add(out, next == IKEV2_NO_NEXT_PAYLOAD ? " {" : "");
    }
    for (unsigned i = 0; i < IKEV2_PAYLOADS_MAX && ikev2_read_payload(&r, &next, &p); i++) {
        text_add(out, between);
        add_in_list(out, h, &p);
        between = ", ";
        if (is_encrypted(p.type)) {
            return;
        }
    }
    if (!reader_done(&r) || next != IKEV2_NO_NEXT_PAYLOAD) {
        text_addf(out, "%smalformed", between);
    }
    text_add(out, inner ? "}" : "");
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

static void add_transform(struct text *out, const struct ikev2_wire_transform *t)
{
    ADD_NAME(out, transform_types, t->type);
    text_add(out, " ");
    if (t->type == 1) {
        ADD_NAME(out, encryption_names, t->id);
    } else if (t->type == 2) {
        ADD_NAME(out, prf_names, t->id);
    } else if (t->type == 3) {
        ADD_NAME(out, integrity_names, t->id);
    } else if (t->type == 4 || (t->type >= 6 && t->type <= 12)) {
        ADD_NAME(out, group_names, t->id);
    } else if (t->type == 5) {
        ADD_NAME(out, esn_names, t->id);
    } else {
        text_addf(out, "%u", t->id);
    }
    if (t->key_bits != 0) {
        text_addf(out, " %u", t->key_bits);
    }
    text_add(out, t->unknown_attribute ? " with an unknown attribute" : "");
}

/* Each describe_X adds what stands between the name of a payload and the end of its line; false
 * when the body is malformed. */

static bool describe_sa(struct text *out, struct slice body)
{
    struct ikev2_sa_payload sa;

    if (!ikev2_read_sa(body, &sa)) {
        return false;
    }
    for (unsigned i = 0; i < sa.proposal_count; i++) {
        const struct ikev2_wire_proposal *p = &sa.proposals[i];

        text_addf(out, "%s %u ", i == 0 ? "" : ";", p->number);
        ADD_NAME(out, protocols, p->protocol);
        add_spi(out, p->spi);
        text_add(out, ":");
        for (unsigned j = 0; j < p->count; j++) {
            text_add(out, j == 0 ? " " : ", ");
            add_transform(out, &sa.transforms[p->first + j]);
        }
    }
    return true;
}

static bool describe_ke(struct text *out, struct slice body)
{
    struct ikev2_ke_payload ke;

    if (!ikev2_read_ke(body, &ke)) {
        return false;
    }
    text_addf(out, " group %u ", ke.group);
    ADD_NAME(out, group_names, ke.group);
    text_add(out, ", ");
    add_octets(out, ke.value);
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
    struct ikev2_id_payload id;

    if (!ikev2_read_id(body, &id)) {
        return false;
    }
    text_add(out, " ");
    ADD_NAME(out, id_names, id.type);
    text_add(out, " ");
    if (id.type == IKEV2_ID_IPV4_ADDR || id.type == IKEV2_ID_IPV6_ADDR) {
        add_address(out, id.type == IKEV2_ID_IPV4_ADDR ? FAMILY_IPV4 : FAMILY_IPV6, id.data.data);
    } else {
        text_add_escaped(out, id.data);
    }
    return true;
}

static bool describe_cert(struct text *out, struct slice body)
{
    struct ikev2_cert_payload cert;

    if (!ikev2_read_cert(body, &cert)) {
        return false;
    }
    text_add(out, " ");
    ADD_NAME(out, cert_names, cert.encoding);
    text_add(out, ", ");
    add_octets(out, cert.data);
    return true;
}

static bool describe_auth(struct text *out, struct slice body)
{
    struct ikev2_auth_payload auth;

    if (!ikev2_read_auth(body, &auth)) {
        return false;
    }
    text_add(out, " ");
    ADD_NAME(out, auth_names, auth.method);
    text_add(out, ", ");
    add_octets(out, auth.data);
    return true;
}

static bool describe_octets(struct text *out, struct slice body)
{
    text_add(out, " ");
    add_octets(out, body);
    return true;
}

static const struct number_name ipcomp_names[] = {
    {IKEV2_IPCOMP_OUI, "OUI"},
    {IKEV2_IPCOMP_DEFLATE, "DEFLATE"},
    {IKEV2_IPCOMP_LZS, "LZS"},
    {IKEV2_IPCOMP_LZJH, "LZJH"},
};

static void add_aggfrag_flags(struct text *out, uint8_t flags)
{
    const uint8_t known = IKEV2_AGGFRAG_CONGESTION_CONTROL | IKEV2_AGGFRAG_DONT_FRAGMENT;

    if ((flags & IKEV2_AGGFRAG_CONGESTION_CONTROL) != 0) {
        text_add(out, ", congestion control");
    }
    if ((flags & IKEV2_AGGFRAG_DONT_FRAGMENT) != 0) {
        text_add(out, ", don't fragment");
    }
    if ((flags & ~known) != 0) {
        text_addf(out, ", unknown flags %02x", flags & ~known);
    }
}

/* What is added of the data of a notify; false: nothing is known about it. */
static bool add_notify_data(struct text *out, const struct ikev2_notify_payload *n)
{
    struct ikev2_ipcomp ipcomp;

    if (n->type == IKEV2_INVALID_KE_PAYLOAD && n->data.length == 2) {
        text_addf(out, ", group %u ", get_u16(n->data.data));
        ADD_NAME(out, group_names, get_u16(n->data.data));
    } else if (n->type == IKEV2_UNSUPPORTED_CRITICAL_PAYLOAD && n->data.length == 1) {
        text_addf(out, ", payload %u", n->data.data[0]);
    } else if (n->type == IKEV2_SET_WINDOW_SIZE && n->data.length == 4) {
        text_addf(out, ", %u", (unsigned)get_u32(n->data.data));
    } else if (n->type == IKEV2_IPCOMP_SUPPORTED && ikev2_read_ipcomp(n->data, &ipcomp)) {
        text_addf(out, ", CPI %u ", ipcomp.cpi);
        ADD_NAME(out, ipcomp_names, ipcomp.transform);
    } else if (n->type == IKEV2_USE_AGGFRAG && n->data.length == 1) {
        add_aggfrag_flags(out, n->data.data[0]);
    } else {
        return false;
    }
    return true;
}

static bool describe_notify(struct text *out, struct slice body)
{
    struct ikev2_notify_payload n;

    if (!ikev2_read_notify(body, &n)) {
        return false;
    }
    text_add(out, " ");
    add_notify_name(out, n.type);
    if (n.spi.length > 0) {
        text_add(out, " ");
        ADD_NAME(out, protocols, n.protocol);
        add_spi(out, n.spi);
    }
    if (!add_notify_data(out, &n) && n.data.length > 0) {
        text_add(out, ", ");
        add_octets(out, n.data);
    }
    return true;
}

static bool describe_delete(struct text *out, struct slice body)
{
    struct ikev2_delete_payload d;

    if (!ikev2_read_delete(body, &d)) {
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

    text_add(out, " ");
    text_add_hex(out, (struct slice){body.data, shown});
    text_add(out, shown < body.length ? "... " : " ");
    text_add_escaped(out, (struct slice){body.data, shown});
    return true;
}

static bool describe_ts(struct text *out, struct slice body)
{
    struct ikev2_ts_payload ts;

    if (!ikev2_read_ts(body, &ts)) {
        return false;
    }
    for (unsigned i = 0; i < ts.count; i++) {
        char text[SELECTOR_TEXT_BYTES];

        text_addf(out, "%s %s", i == 0 ? "" : ",", selector_format(&ts.selectors[i], text));
    }
    if (ts.skipped > 0) {
        text_addf(out, "%s %u of unknown type", ts.count == 0 ? "" : ",", ts.skipped);
    }
    return true;
}

enum attribute_type {
    INTERNAL_IP4_ADDRESS = 1,
    INTERNAL_IP4_NBNS = 4,
    INTERNAL_IP4_DHCP = 6,
    APPLICATION_VERSION = 7,
    INTERNAL_IP6_ADDRESS = 8,
    INTERNAL_IP6_DNS = 10,
    INTERNAL_IP6_DHCP = 12,
    INTERNAL_IP4_SUBNET = 13,
    INTERNAL_IP6_SUBNET = 15,
    INTERNAL_DNS_DOMAIN = 25,
};

/* RFC 7296 3.15.1: addresses, an address and a mask, an address and a prefix length, text. */
static void add_attribute_value(struct text *out, const struct ikev2_cp_attribute *a)
{
    bool is_ipv4 = (a->type >= INTERNAL_IP4_ADDRESS && a->type <= INTERNAL_IP4_NBNS) ||
                   a->type == INTERNAL_IP4_DHCP;
    bool is_ipv6 = a->type == INTERNAL_IP6_DNS || a->type == INTERNAL_IP6_DHCP;
    bool is_prefix = a->type == INTERNAL_IP6_ADDRESS || a->type == INTERNAL_IP6_SUBNET;
    bool is_text = a->type == APPLICATION_VERSION || a->type == INTERNAL_DNS_DOMAIN;

    if (a->value.length == 0) {
        return;
    }
    text_add(out, " ");
    if (is_ipv4 && a->value.length == 4) {
        add_address(out, FAMILY_IPV4, a->value.data);
    } else if (is_ipv6 && a->value.length == 16) {
        add_address(out, FAMILY_IPV6, a->value.data);
    } else if (is_prefix && a->value.length == 17) {
        add_address(out, FAMILY_IPV6, a->value.data);
        text_addf(out, "/%u", a->value.data[16]);
    } else if (a->type == INTERNAL_IP4_SUBNET && a->value.length == 8) {
        add_address(out, FAMILY_IPV4, a->value.data);
        text_add(out, "/");
        add_address(out, FAMILY_IPV4, a->value.data + 4);
    } else if (is_text) {
        text_add_escaped(out, a->value);
    } else {
        add_octets(out, a->value);
    }
}

static bool describe_cp(struct text *out, struct slice body)
{
    struct ikev2_cp_payload cp;

    if (!ikev2_read_cp(body, &cp)) {
        return false;
    }
    text_add(out, " ");
    ADD_NAME(out, cp_names, cp.type);
    for (unsigned i = 0; i < cp.count; i++) {
        text_add(out, i == 0 ? ": " : ", ");
        ADD_NAME(out, attribute_names, cp.attributes[i].type);
        add_attribute_value(out, &cp.attributes[i]);
    }
    return true;
}

static bool describe_eap(struct text *out, struct slice body)
{
    struct slice packet;

    if (!ikev2_read_eap(body, &packet)) {
        return false;
    }
    text_add(out, " ");
    ADD_NAME(out, eap_codes, packet.data[0]);
    text_addf(out, " %u", packet.data[1]);
    if (packet.length > 4) {
        text_addf(out, ", type %u", packet.data[4]);
    }
    text_add(out, ", ");
    add_octets(out, packet);
    return true;
}

static bool describe_fragment(struct text *out, struct slice body)
{
    struct reader r = reader_over(body);
    struct ikev2_skf_head head;

    if (!ikev2_read_skf_head(&r, &head)) {
        return false;
    }
    text_addf(out, " fragment %u of %u, ", head.number, head.total);
    add_octets(out, read_rest(&r));
    return true;
}

static bool describe_one(struct text *out, const struct ikev2_payload *p)
{
    static const struct {
        uint8_t type;
        bool (*describe)(struct text *out, struct slice body);
    } table[] = {
        {IKEV2_SA, describe_sa},
        {IKEV2_KE, describe_ke},
        {IKEV2_IDI, describe_id},
        {IKEV2_IDR, describe_id},
        {IKEV2_CERT, describe_cert},
        {IKEV2_CERTREQ, describe_cert},
        {IKEV2_AUTH, describe_auth},
        {IKEV2_NONCE, describe_octets},
        {IKEV2_NOTIFY, describe_notify},
        {IKEV2_DELETE, describe_delete},
        {IKEV2_VENDOR_ID, describe_vendor},
        {IKEV2_TSI, describe_ts},
        {IKEV2_TSR, describe_ts},
        {IKEV2_SK, describe_octets},
        {IKEV2_CP, describe_cp},
        {IKEV2_EAP, describe_eap},
        {IKEV2_SKF, describe_fragment},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        if (table[i].type == p->type) {
            return table[i].describe(out, p->body);
        }
    }
    return describe_octets(out, p->body);
}

static void add_header_line(struct text *out, const struct ikev2_header *h)
{
    const char *exchange = ikev2_exchange_name(h->exchange);

    text_add(out, "\n  HDR ");
    if (exchange != NULL) {
        text_add(out, exchange);
    } else {
        text_addf(out, "exchange %u", h->exchange);
    }
    text_addf(out, " %s %u from the %s, SPIs %016llx %016llx",
              is_response(h) ? "response" : "request", (unsigned)h->message_id,
              (h->flags & IKEV2_FLAG_INITIATOR) != 0 ? "initiator" : "responder",
              (unsigned long long)h->spi_i, (unsigned long long)h->spi_r);
    if (h->version != 0x20) {
        text_addf(out, ", version %u.%u", h->version >> 4, h->version & 15);
    }
}

void ikev2_describe(const struct ikev2_header *h, uint8_t first, struct slice payloads,
                    struct text *out)
{
    struct reader r = reader_over(payloads);
    struct ikev2_payload p;
    uint8_t next = first;

    add_list(out, h, first, payloads);
    add_header_line(out, h);
    for (unsigned i = 0; i < IKEV2_PAYLOADS_MAX && !out->cut && ikev2_read_payload(&r, &next, &p);
         i++) {
        text_add(out, "\n  ");
        add_sided_name(out, h, p.type);
        text_add(out, p.critical ? " critical" : "");
        if (!describe_one(out, &p)) {
            text_addf(out, " malformed, %zu octets", p.body.length);
        }
        if (is_encrypted(p.type)) {
            break;
        }
    }
}
