/*
 * IKEv1 messages and payloads (RFC 2408 section 3, RFC 2407 section 4.6, RFC 2409 appendix A, RFC
 * 3947; mode-config and XAUTH as draft-dukes-ike-mode-cfg-02 and draft-beaulieu-ike-xauth-02):
 * bytes to values and back.
 *
 * What is read borrows from the message. Whether a payload may stand in a message is not decided
 * here. A payload whose body has no structure (HASH, SIG, NONCE, VENDOR, KE, NAT-D) has no reader:
 * its body is the value.
 */
#ifndef SEKISHO_WIRE_IKEV1_H
#define SEKISHO_WIRE_IKEV1_H

#include "base/address.h"
#include "base/text.h"

#define IKEV1_HEAD_BYTES 28
#define IKEV1_PAYLOAD_HEAD_BYTES 4
#define IKEV1_MESSAGE_BYTES_MAX 65535
#define IKEV1_PAYLOADS_MAX 64 /* of one message; more is refused */
#define IKEV1_NONCE_BYTES_MIN 8 /* RFC 2409 5 */
#define IKEV1_NONCE_BYTES_MAX 256

enum ikev1_exchange {
    IKEV1_BASE = 1,
    IKEV1_MAIN = 2, /* Identity Protection */
    IKEV1_AUTHENTICATION_ONLY = 3,
    IKEV1_AGGRESSIVE = 4,
    IKEV1_INFORMATIONAL = 5,
    IKEV1_TRANSACTION = 6, /* mode-config, XAUTH */
    IKEV1_QUICK = 32,
    IKEV1_NEW_GROUP = 33,
};

enum ikev1_flag {
    IKEV1_FLAG_ENCRYPTED = 0x01,
    IKEV1_FLAG_COMMIT = 0x02,
    IKEV1_FLAG_AUTHENTICATION_ONLY = 0x04,
};

enum ikev1_payload_type {
    IKEV1_NO_NEXT_PAYLOAD = 0,
    IKEV1_SA = 1,
    IKEV1_KE = 4,
    IKEV1_ID = 5,
    IKEV1_CERT = 6,
    IKEV1_CERTREQ = 7,
    IKEV1_HASH = 8,
    IKEV1_SIG = 9,
    IKEV1_NONCE = 10,
    IKEV1_NOTIFY = 11,
    IKEV1_DELETE = 12,
    IKEV1_VENDOR_ID = 13,
    IKEV1_ATTRIBUTES = 14,
    IKEV1_NAT_D_DRAFT_4 = 15, /* drafts 04 to 08 of what became RFC 3947 */
    IKEV1_NAT_OA_DRAFT_4 = 16,
    IKEV1_NAT_D = 20, /* RFC 3947 */
    IKEV1_NAT_OA = 21,
    IKEV1_NAT_D_DRAFT = 130, /* drafts 00 to 03 */
    IKEV1_NAT_OA_DRAFT = 131,
    IKEV1_FRAGMENT = 132, /* the vendor scheme of Windows and Cisco */
};

/* RFC 2408 3.14.1, RFC 2407 4.6.3, RFC 3706 5.3. Below 16384 are errors. */
enum ikev1_notify_type {
    IKEV1_INVALID_PAYLOAD_TYPE = 1,
    IKEV1_DOI_NOT_SUPPORTED = 2,
    IKEV1_SITUATION_NOT_SUPPORTED = 3,
    IKEV1_INVALID_COOKIE = 4,
    IKEV1_INVALID_MAJOR_VERSION = 5,
    IKEV1_INVALID_MINOR_VERSION = 6,
    IKEV1_INVALID_EXCHANGE_TYPE = 7,
    IKEV1_INVALID_FLAGS = 8,
    IKEV1_INVALID_MESSAGE_ID = 9,
    IKEV1_INVALID_PROTOCOL_ID = 10,
    IKEV1_INVALID_SPI = 11,
    IKEV1_INVALID_TRANSFORM_ID = 12,
    IKEV1_ATTRIBUTES_NOT_SUPPORTED = 13,
    IKEV1_NO_PROPOSAL_CHOSEN = 14,
    IKEV1_BAD_PROPOSAL_SYNTAX = 15,
    IKEV1_PAYLOAD_MALFORMED = 16,
    IKEV1_INVALID_KEY_INFORMATION = 17,
    IKEV1_INVALID_ID_INFORMATION = 18,
    IKEV1_INVALID_CERT_ENCODING = 19,
    IKEV1_INVALID_CERTIFICATE = 20,
    IKEV1_CERT_TYPE_UNSUPPORTED = 21,
    IKEV1_INVALID_CERT_AUTHORITY = 22,
    IKEV1_INVALID_HASH_INFORMATION = 23,
    IKEV1_AUTHENTICATION_FAILED = 24,
    IKEV1_INVALID_SIGNATURE = 25,
    IKEV1_ADDRESS_NOTIFICATION = 26,
    IKEV1_NOTIFY_SA_LIFETIME = 27,
    IKEV1_CERTIFICATE_UNAVAILABLE = 28,
    IKEV1_UNSUPPORTED_EXCHANGE_TYPE = 29,
    IKEV1_UNEQUAL_PAYLOAD_LENGTHS = 30,
    IKEV1_CONNECTED = 16384,
    IKEV1_RESPONDER_LIFETIME = 24576,
    IKEV1_REPLAY_STATUS = 24577,
    IKEV1_INITIAL_CONTACT = 24578,
    IKEV1_R_U_THERE = 36136,
    IKEV1_R_U_THERE_ACK = 36137,
    IKEV1_LOAD_BALANCE = 40501, /* Cisco: go to another address */
};

struct ikev1_header {
    uint64_t cookie_i;
    uint64_t cookie_r;
    uint8_t next_payload;
    uint8_t version; /* major << 4 | minor: 0x10 */
    uint8_t exchange;
    uint8_t flags;
    uint32_t message_id;
    uint32_t length;
};

/* Fails when the length field is not exactly what the message has. The version is not judged. */
MUST_USE bool ikev1_read_header(struct reader *r, struct ikev1_header *out);
/* The length field is set later by ikev1_finish_message(); that of an encrypted message counts its
 * padding. */
void ikev1_write_header(struct writer *w, const struct ikev1_header *h);
void ikev1_finish_message(struct writer *w);

struct ikev1_payload {
    uint8_t type;
    struct slice body; /* behind the generic header */
    struct slice whole; /* with it */
};

/* Reads the payload whose type is *next and replaces *next by the one that follows. False at the
 * end (then *next is IKEV1_NO_NEXT_PAYLOAD, and what is left in the reader is padding) and on an
 * error (reader failed). Reserved octets of generic headers are not looked at. */
MUST_USE bool ikev1_read_payload(struct reader *r, uint8_t *next, struct ikev1_payload *out);
/* The payloads from `first` on without the padding behind them (RFC 2409 5.5: what HASH(1) covers
 * begins behind the HASH payload and ends here). False when a length is wrong, there are more than
 * IKEV1_PAYLOADS_MAX or none: what a wrong key makes of a message. */
MUST_USE bool ikev1_read_chain(uint8_t first, struct slice payloads, struct slice *chain);
/* True when somebody could have written this as padding: at most 255 octets (RFC 2408 has no
 * rule; ciphers need less than a block). */
MUST_USE bool ikev1_padding_is_sane(struct slice padding);

/* A chain of payloads being written: begin one, write its body, end it. The first type goes into
 * *first. */
struct ikev1_chain {
    struct writer *w;
    uint8_t *first; /* where the type of the first payload is to be noted */
    size_t last_offset; /* of the generic header written last; SIZE_MAX before the first */
};
struct ikev1_chain ikev1_chain_over(struct writer *w, uint8_t *first);
void ikev1_begin_payload(struct ikev1_chain *c, uint8_t type);
void ikev1_end_payload(struct ikev1_chain *c);
void ikev1_write_payload(struct ikev1_chain *c, uint8_t type, struct slice body);

/* Data attributes (RFC 2408 3.3): short (TV) or of variable length (TLV). A number may come in
 * either form; `number` is what either says, and UINT64_MAX when it does not fit. */
struct ikev1_attribute {
    uint16_t type;
    bool is_short;
    uint64_t number;
    struct slice value; /* two octets of a short one */
};
MUST_USE bool ikev1_read_attribute(struct reader *r, struct ikev1_attribute *out);
/* As short as it goes: TV up to 65535, else four or eight octets. */
void ikev1_write_number(struct writer *w, uint16_t type, uint64_t number);
void ikev1_write_attribute(struct writer *w, uint16_t type, struct slice value);

/*
 * Security Association (RFC 2408 3.4 to 3.6, RFC 2407 4.4 to 4.6.1, RFC 2409 appendix A). All
 * proposals and transforms stand in bounded arrays. Proposals with one number, one behind the
 * other, are to be taken together (AH and ESP), their transforms are a choice.
 */
#define IKEV1_PROPOSALS_MAX 48
#define IKEV1_TRANSFORMS_MAX 256

#define IKEV1_DOI_IPSEC 1
enum ikev1_situation {
    IKEV1_SIT_IDENTITY_ONLY = 1,
    IKEV1_SIT_SECRECY = 2,
    IKEV1_SIT_INTEGRITY = 4,
};

enum ikev1_protocol {
    IKEV1_PROTO_ISAKMP = 1,
    IKEV1_PROTO_AH = 2,
    IKEV1_PROTO_ESP = 3,
    IKEV1_PROTO_IPCOMP = 4,
};

#define IKEV1_KEY_IKE 1 /* the one transform of PROTO_ISAKMP */

enum ikev1_ah_transform {
    IKEV1_AH_MD5 = 2,
    IKEV1_AH_SHA1 = 3,
    IKEV1_AH_DES = 4,
    IKEV1_AH_SHA2_256 = 5,
    IKEV1_AH_SHA2_384 = 6,
    IKEV1_AH_SHA2_512 = 7,
    IKEV1_AH_RIPEMD = 8,
    IKEV1_AH_AES_XCBC = 9,
    IKEV1_AH_AES_128_GMAC = 11,
    IKEV1_AH_AES_192_GMAC = 12,
    IKEV1_AH_AES_256_GMAC = 13,
};

enum ikev1_esp_transform {
    IKEV1_ESP_DES_IV64 = 1,
    IKEV1_ESP_DES = 2,
    IKEV1_ESP_3DES = 3,
    IKEV1_ESP_NULL = 11,
    IKEV1_ESP_AES_CBC = 12,
    IKEV1_ESP_AES_CTR = 13,
    IKEV1_ESP_AES_CCM_8 = 14,
    IKEV1_ESP_AES_CCM_12 = 15,
    IKEV1_ESP_AES_CCM_16 = 16,
    IKEV1_ESP_AES_GCM_8 = 18,
    IKEV1_ESP_AES_GCM_12 = 19,
    IKEV1_ESP_AES_GCM_16 = 20,
    IKEV1_ESP_SEED_CBC = 21,
    IKEV1_ESP_CAMELLIA_CBC = 22,
    IKEV1_ESP_NULL_AES_GMAC = 23,
};

enum ikev1_ipcomp_transform {
    IKEV1_IPCOMP_OUI = 1,
    IKEV1_IPCOMP_DEFLATE = 2,
    IKEV1_IPCOMP_LZS = 3,
    IKEV1_IPCOMP_LZJH = 4,
};

/* RFC 2409 appendix A: attributes of phase 1. */
enum ikev1_phase1_attribute {
    IKEV1_ENCRYPTION = 1,
    IKEV1_HASH_ALGORITHM = 2,
    IKEV1_AUTH_METHOD = 3,
    IKEV1_GROUP = 4,
    IKEV1_GROUP_TYPE = 5,
    IKEV1_GROUP_PRIME = 6,
    IKEV1_GROUP_GENERATOR_1 = 7,
    IKEV1_GROUP_GENERATOR_2 = 8,
    IKEV1_GROUP_CURVE_A = 9,
    IKEV1_GROUP_CURVE_B = 10,
    IKEV1_LIFE_TYPE = 11,
    IKEV1_LIFE_DURATION = 12,
    IKEV1_PRF = 13,
    IKEV1_KEY_LENGTH = 14,
    IKEV1_FIELD_SIZE = 15,
    IKEV1_GROUP_ORDER = 16,
};

/* Values of ENCRYPTION. */
enum ikev1_encryption {
    IKEV1_DES_CBC = 1,
    IKEV1_IDEA_CBC = 2,
    IKEV1_BLOWFISH_CBC = 3,
    IKEV1_RC5_CBC = 4,
    IKEV1_3DES_CBC = 5,
    IKEV1_CAST_CBC = 6,
    IKEV1_AES_CBC = 7,
    IKEV1_CAMELLIA_CBC = 8,
};

enum ikev1_hash {
    IKEV1_HASH_MD5 = 1,
    IKEV1_HASH_SHA1 = 2,
    IKEV1_HASH_TIGER = 3,
    IKEV1_HASH_SHA2_256 = 4,
    IKEV1_HASH_SHA2_384 = 5,
    IKEV1_HASH_SHA2_512 = 6,
};

/* RFC 2409 appendix A, RFC 4754 6, hybrid authentication and XAUTH (drafts). */
enum ikev1_auth_method {
    IKEV1_AUTH_SHARED_KEY = 1,
    IKEV1_AUTH_DSS_SIGNATURE = 2,
    IKEV1_AUTH_RSA_SIGNATURE = 3,
    IKEV1_AUTH_RSA_ENCRYPTION = 4,
    IKEV1_AUTH_RSA_REVISED = 5,
    IKEV1_AUTH_ECDSA_256 = 9,
    IKEV1_AUTH_ECDSA_384 = 10,
    IKEV1_AUTH_ECDSA_521 = 11,
    IKEV1_HYBRID_INIT_RSA = 64221,
    IKEV1_HYBRID_RESP_RSA = 64222,
    IKEV1_HYBRID_INIT_DSS = 64223,
    IKEV1_HYBRID_RESP_DSS = 64224,
    IKEV1_XAUTH_INIT_SHARED_KEY = 65001,
    IKEV1_XAUTH_RESP_SHARED_KEY = 65002,
    IKEV1_XAUTH_INIT_DSS = 65003,
    IKEV1_XAUTH_RESP_DSS = 65004,
    IKEV1_XAUTH_INIT_RSA = 65005,
    IKEV1_XAUTH_RESP_RSA = 65006,
    IKEV1_XAUTH_INIT_RSA_ENCRYPTION = 65007,
    IKEV1_XAUTH_RESP_RSA_ENCRYPTION = 65008,
    IKEV1_XAUTH_INIT_RSA_REVISED = 65009,
    IKEV1_XAUTH_RESP_RSA_REVISED = 65010,
};

enum ikev1_group_type {
    IKEV1_GROUP_MODP = 1,
    IKEV1_GROUP_ECP = 2,
    IKEV1_GROUP_EC2N = 3,
};

enum ikev1_life_type {
    IKEV1_LIFE_SECONDS = 1,
    IKEV1_LIFE_KILOBYTES = 2,
};

/* RFC 2407 4.5, RFC 3168 9.2.1, RFC 4304: attributes of AH, ESP and IPCOMP. */
enum ikev1_phase2_attribute {
    IKEV1_SA_LIFE_TYPE = 1,
    IKEV1_SA_LIFE_DURATION = 2,
    IKEV1_SA_GROUP = 3,
    IKEV1_ENCAPSULATION = 4,
    IKEV1_AUTH_ALGORITHM = 5,
    IKEV1_SA_KEY_LENGTH = 6,
    IKEV1_KEY_ROUNDS = 7,
    IKEV1_COMPRESS_DICTIONARY = 8,
    IKEV1_COMPRESS_PRIVATE = 9,
    IKEV1_ECN_TUNNEL = 10,
    IKEV1_ESN = 11,
};

enum ikev1_encapsulation {
    IKEV1_TUNNEL = 1,
    IKEV1_TRANSPORT = 2,
    IKEV1_UDP_TUNNEL = 3, /* RFC 3947 5.1 */
    IKEV1_UDP_TRANSPORT = 4,
    IKEV1_UDP_TUNNEL_DRAFT = 61443,
    IKEV1_UDP_TRANSPORT_DRAFT = 61444,
};

enum ikev1_auth_algorithm {
    IKEV1_HMAC_MD5 = 1,
    IKEV1_HMAC_SHA1 = 2,
    IKEV1_DES_MAC = 3,
    IKEV1_KPDK = 4,
    IKEV1_HMAC_SHA2_256 = 5,
    IKEV1_HMAC_SHA2_384 = 6,
    IKEV1_HMAC_SHA2_512 = 7,
    IKEV1_HMAC_RIPEMD = 8,
    IKEV1_AES_XCBC_MAC = 9,
    IKEV1_AES_128_GMAC = 11,
    IKEV1_AES_192_GMAC = 12,
    IKEV1_AES_256_GMAC = 13,
};

/* Zero means absent. Which members may be set goes by the protocol of the proposal. */
struct ikev1_wire_transform {
    uint8_t number;
    uint8_t id; /* KEY_IKE, or of AH, ESP, IPCOMP */
    bool unknown_attribute; /* or a known one with a value that cannot be: must not be chosen */
    uint16_t encryption; /* phase 1 */
    uint16_t hash;
    uint16_t auth_method;
    uint16_t group_type;
    uint16_t prf;
    uint16_t group; /* of both phases: in phase 2, that of PFS */
    uint16_t key_bits;
    uint16_t encapsulation; /* phase 2 */
    uint16_t auth_algorithm;
    uint16_t key_rounds;
    uint16_t compress_dictionary;
    uint16_t ecn_tunnel; /* 1 allowed, 2 forbidden */
    uint16_t esn; /* 1: sequence numbers in 64 bits */
    uint64_t life_seconds;
    uint64_t life_kilobytes;
    /* As they came: RFC 2409 5, what is chosen goes back as it was offered. When it is not empty,
     * this is written and not the members above. */
    struct slice attributes;
};

struct ikev1_wire_proposal {
    uint8_t number;
    uint8_t protocol;
    struct slice spi; /* anything in phase 1 (RFC 2408 3.5); IPCOMP: two octets, or four */
    uint16_t first; /* in transforms[] */
    uint16_t count;
};

struct ikev1_sa_payload {
    uint32_t doi;
    uint32_t situation;
    uint16_t proposal_count;
    uint16_t transform_count;
    struct ikev1_wire_proposal proposals[IKEV1_PROPOSALS_MAX];
    struct ikev1_wire_transform transforms[IKEV1_TRANSFORMS_MAX];
};
/* Of another DOI than IPsec's, or a situation with labels, no proposals are read: there are none
 * then. */
MUST_USE bool ikev1_read_sa(struct slice body, struct ikev1_sa_payload *out);
void ikev1_write_sa(struct writer *w, const struct ikev1_sa_payload *sa);
/* Attributes of one transform: for the chosen one, and for the lifetime that RESPONDER_LIFETIME
 * tells. False when a length is wrong. */
MUST_USE bool ikev1_read_transform_attributes(uint8_t protocol, struct slice attributes,
                                              struct ikev1_wire_transform *out);
void ikev1_write_transform_attributes(struct writer *w, uint8_t protocol,
                                      const struct ikev1_wire_transform *t);

/* Identification (RFC 2408 3.8, RFC 2407 4.6.2). */
enum ikev1_id_type {
    IKEV1_ID_IPV4_ADDR = 1,
    IKEV1_ID_FQDN = 2,
    IKEV1_ID_USER_FQDN = 3,
    IKEV1_ID_IPV4_ADDR_SUBNET = 4,
    IKEV1_ID_IPV6_ADDR = 5,
    IKEV1_ID_IPV6_ADDR_SUBNET = 6,
    IKEV1_ID_IPV4_ADDR_RANGE = 7,
    IKEV1_ID_IPV6_ADDR_RANGE = 8,
    IKEV1_ID_DER_ASN1_DN = 9,
    IKEV1_ID_DER_ASN1_GN = 10,
    IKEV1_ID_KEY_ID = 11,
};
struct ikev1_id_payload {
    uint8_t type;
    uint8_t protocol; /* in phase 1: 0, or UDP with port 0, 500 or 4500 (RFC 3947 4) */
    uint16_t port;
    struct slice data;
    /* Type, protocol, port, data: what HASH_I and HASH_R cover; set by read, not used by write. */
    struct slice whole;
};
MUST_USE bool ikev1_read_id(struct slice body, struct ikev1_id_payload *out);
void ikev1_write_id(struct writer *w, const struct ikev1_id_payload *id);
/* Phase 2: the traffic that an identity names. False for names, and for a mask with holes. */
MUST_USE bool ikev1_id_selector(const struct ikev1_id_payload *id, struct selector *out);
/* The shortest identity for it: an address, a network, a range. False when it has a range of ports,
 * which IKEv1 cannot say. */
MUST_USE bool ikev1_write_selector(struct writer *w, const struct selector *selector);

/* Certificate and certificate request (RFC 2408 3.9, 3.10). */
enum ikev1_cert_encoding {
    IKEV1_CERT_NONE = 0,
    IKEV1_CERT_PKCS7 = 1,
    IKEV1_CERT_PGP = 2,
    IKEV1_CERT_DNS = 3,
    IKEV1_CERT_X509_SIGNATURE = 4,
    IKEV1_CERT_X509_KEY_EXCHANGE = 5,
    IKEV1_CERT_KERBEROS = 6,
    IKEV1_CERT_CRL = 7,
    IKEV1_CERT_ARL = 8,
    IKEV1_CERT_SPKI = 9,
    IKEV1_CERT_X509_ATTRIBUTE = 10,
};
struct ikev1_cert_payload {
    uint8_t encoding;
    struct slice data;
};
MUST_USE bool ikev1_read_cert(struct slice body, struct ikev1_cert_payload *out);
void ikev1_write_cert(struct writer *w, const struct ikev1_cert_payload *cert);

/* Notification (RFC 2408 3.14). */
struct ikev1_notify_payload {
    uint32_t doi;
    uint8_t protocol;
    uint16_t type;
    struct slice spi; /* of an ISAKMP SA: both cookies, or nothing */
    struct slice data;
};
MUST_USE bool ikev1_read_notify(struct slice body, struct ikev1_notify_payload *out);
void ikev1_write_notify(struct writer *w, const struct ikev1_notify_payload *n);
MUST_USE bool ikev1_notify_is_error(uint16_t type);

/* Delete (RFC 2408 3.15). SPIs stand one after the other in `spis`; those of ISAKMP SAs are both
 * cookies. */
#define IKEV1_COOKIES_BYTES 16
struct ikev1_delete_payload {
    uint32_t doi;
    uint8_t protocol;
    uint8_t spi_bytes;
    uint16_t count;
    struct slice spis;
};
MUST_USE bool ikev1_read_delete(struct slice body, struct ikev1_delete_payload *out);
void ikev1_write_delete(struct writer *w, const struct ikev1_delete_payload *d);

/* NAT original address (RFC 3947 5.2). */
MUST_USE bool ikev1_read_nat_oa(struct slice body, struct address *out);
void ikev1_write_nat_oa(struct writer *w, const struct address *address);

/* Attributes of mode-config and XAUTH. */
enum ikev1_cfg_type {
    IKEV1_CFG_REQUEST = 1,
    IKEV1_CFG_REPLY = 2,
    IKEV1_CFG_SET = 3,
    IKEV1_CFG_ACK = 4,
};
enum ikev1_cfg_attribute_type {
    IKEV1_INTERNAL_IP4_ADDRESS = 1,
    IKEV1_INTERNAL_IP4_NETMASK = 2,
    IKEV1_INTERNAL_IP4_DNS = 3,
    IKEV1_INTERNAL_IP4_NBNS = 4,
    IKEV1_INTERNAL_ADDRESS_EXPIRY = 5,
    IKEV1_INTERNAL_IP4_DHCP = 6,
    IKEV1_APPLICATION_VERSION = 7,
    IKEV1_INTERNAL_IP6_ADDRESS = 8,
    IKEV1_INTERNAL_IP6_NETMASK = 9,
    IKEV1_INTERNAL_IP6_DNS = 10,
    IKEV1_INTERNAL_IP6_NBNS = 11,
    IKEV1_INTERNAL_IP6_DHCP = 12,
    IKEV1_INTERNAL_IP4_SUBNET = 13,
    IKEV1_SUPPORTED_ATTRIBUTES = 14,
    IKEV1_INTERNAL_IP6_SUBNET = 15,
    IKEV1_XAUTH_TYPE = 16520,
    IKEV1_XAUTH_USER_NAME = 16521,
    IKEV1_XAUTH_USER_PASSWORD = 16522,
    IKEV1_XAUTH_PASSCODE = 16523,
    IKEV1_XAUTH_MESSAGE = 16524,
    IKEV1_XAUTH_CHALLENGE = 16525,
    IKEV1_XAUTH_DOMAIN = 16526,
    IKEV1_XAUTH_STATUS = 16527,
    IKEV1_XAUTH_NEXT_PIN = 16528,
    IKEV1_XAUTH_ANSWER = 16529,
    IKEV1_UNITY_BANNER = 28672,
    IKEV1_UNITY_SAVE_PASSWORD = 28673,
    IKEV1_UNITY_DEFAULT_DOMAIN = 28674,
    IKEV1_UNITY_SPLIT_DNS = 28675,
    IKEV1_UNITY_SPLIT_INCLUDE = 28676,
    IKEV1_UNITY_NATT_PORT = 28677,
    IKEV1_UNITY_LOCAL_LAN = 28678,
    IKEV1_UNITY_PFS = 28679,
    IKEV1_UNITY_FIREWALL = 28680,
    IKEV1_UNITY_BACKUP_SERVERS = 28681,
    IKEV1_UNITY_DDNS_HOSTNAME = 28682,
};
enum ikev1_xauth_type {
    IKEV1_XAUTH_GENERIC = 0,
    IKEV1_XAUTH_RADIUS_CHAP = 1,
    IKEV1_XAUTH_OTP = 2,
    IKEV1_XAUTH_S_KEY = 3,
};
#define IKEV1_CFG_ATTRIBUTES_MAX 64
struct ikev1_cfg_payload {
    uint8_t type;
    uint16_t identifier;
    uint16_t count;
    struct ikev1_attribute attributes[IKEV1_CFG_ATTRIBUTES_MAX];
};
MUST_USE bool ikev1_read_cfg(struct slice body, struct ikev1_cfg_payload *out);
/* Attributes are written in the form that is_short says: short ones by `number`, others by `value`.
 */
void ikev1_write_cfg(struct writer *w, const struct ikev1_cfg_payload *cfg);
/* What an attribute says; false when it is empty, as in a question, or malformed. An IPv6 address
 * may have the length of its prefix behind it, as IKEv2 has it. */
MUST_USE bool ikev1_cfg_address(const struct ikev1_attribute *attribute, struct address *out);
/* IP4_SUBNET, IP6_SUBNET. */
MUST_USE bool ikev1_cfg_subnet(const struct ikev1_attribute *attribute, struct network *out);
void ikev1_write_cfg_subnet(struct writer *w, const struct network *network);
/* Unity's networks: address, mask, protocol and ports, padding (14 octets each). False behind the
 * last, and when the reader failed. */
MUST_USE bool ikev1_read_split_network(struct reader *r, struct network *out);
void ikev1_write_split_network(struct writer *w, const struct network *network);

/* A fragment of the vendor scheme: the only payload of its message, unauthenticated. */
struct ikev1_fragment_payload {
    uint16_t identifier;
    uint8_t number; /* from 1 */
    bool last;
    struct slice data; /* of the whole message, with its header */
};
MUST_USE bool ikev1_read_fragment(struct slice body, struct ikev1_fragment_payload *out);
void ikev1_write_fragment(struct writer *w, const struct ikev1_fragment_payload *f);

/* Vendor IDs with a meaning in the protocol. Who a peer is, is told by proto/ike's persona. */
enum ikev1_vendor {
    IKEV1_VENDOR_UNKNOWN,
    IKEV1_VENDOR_NAT_T, /* RFC 3947 */
    IKEV1_VENDOR_NAT_T_DRAFT_02_N, /* "...-02\n", what most sent */
    IKEV1_VENDOR_NAT_T_DRAFT_02,
    IKEV1_VENDOR_NAT_T_DRAFT_03,
    IKEV1_VENDOR_XAUTH,
    IKEV1_VENDOR_DPD,
    IKEV1_VENDOR_UNITY,
    IKEV1_VENDOR_FRAGMENTATION,
    IKEV1_VENDOR_INITIAL_CONTACT,
    IKEV1_VENDOR_WINDOWS, /* MS NT5 ISAKMPOAKLEY with its version behind */
};
enum ikev1_vendor ikev1_vendor_of(struct slice body);
/* What is sent for one; empty for UNKNOWN. */
struct slice ikev1_vendor_octets(enum ikev1_vendor vendor);

/* Names for people and logs. */
const char *ikev1_exchange_name(uint8_t exchange); /* NULL when unknown */
const char *ikev1_payload_name(uint8_t type); /* "SA", "KE", ...; NULL when unknown */
const char *ikev1_notify_name(uint16_t type); /* NULL when unknown */
const char *ikev1_vendor_name(enum ikev1_vendor vendor); /* NULL for UNKNOWN */
/* HDR*, HASH(1), SA, Ni ... in the notation of the RFC. `payloads` is the chain from `first` on
 * (that of a decrypted message). Details of each payload follow, a line each, indented. */
void ikev1_describe(const struct ikev1_header *h, uint8_t first, struct slice payloads,
                    struct text *out);

#endif
