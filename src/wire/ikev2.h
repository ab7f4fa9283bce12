/*
 * IKEv2 messages and payloads (RFC 7296 section 3, RFC 7383 section 2.5): bytes to values and
 * back.
 *
 * What is read borrows from the message. Whether a payload may stand in a message is not decided
 * here.
 */
#ifndef SEKISHO_WIRE_IKEV2_H
#define SEKISHO_WIRE_IKEV2_H

#include "base/address.h"
#include "base/text.h"

#define IKEV2_HEAD_BYTES 28
#define IKEV2_PAYLOAD_HEAD_BYTES 4
#define IKEV2_MESSAGE_BYTES_MAX 65535
#define IKEV2_PAYLOADS_MAX 64 /* of one message; more is refused */
#define IKEV2_NONCE_BYTES_MIN 16
#define IKEV2_NONCE_BYTES_MAX 256

enum ikev2_exchange {
    IKEV2_IKE_SA_INIT = 34,
    IKEV2_IKE_AUTH = 35,
    IKEV2_CREATE_CHILD_SA = 36,
    IKEV2_INFORMATIONAL = 37,
    IKEV2_IKE_SESSION_RESUME = 38,
    IKEV2_IKE_INTERMEDIATE = 43,
    IKEV2_IKE_FOLLOWUP_KE = 44,
};

enum ikev2_flag {
    IKEV2_FLAG_INITIATOR = 0x08,
    IKEV2_FLAG_VERSION = 0x10,
    IKEV2_FLAG_RESPONSE = 0x20,
};

enum ikev2_payload_type {
    IKEV2_NO_NEXT_PAYLOAD = 0,
    IKEV2_SA = 33,
    IKEV2_KE = 34,
    IKEV2_IDI = 35,
    IKEV2_IDR = 36,
    IKEV2_CERT = 37,
    IKEV2_CERTREQ = 38,
    IKEV2_AUTH = 39,
    IKEV2_NONCE = 40,
    IKEV2_NOTIFY = 41,
    IKEV2_DELETE = 42,
    IKEV2_VENDOR_ID = 43,
    IKEV2_TSI = 44,
    IKEV2_TSR = 45,
    IKEV2_SK = 46,
    IKEV2_CP = 47,
    IKEV2_EAP = 48,
    IKEV2_SKF = 53,
};

/* RFC 7296 3.10.1 and the registry. Below 16384 are errors. */
enum ikev2_notify_type {
    IKEV2_UNSUPPORTED_CRITICAL_PAYLOAD = 1,
    IKEV2_INVALID_IKE_SPI = 4,
    IKEV2_INVALID_MAJOR_VERSION = 5,
    IKEV2_INVALID_SYNTAX = 7,
    IKEV2_INVALID_MESSAGE_ID = 9,
    IKEV2_INVALID_SPI = 11,
    IKEV2_NO_PROPOSAL_CHOSEN = 14,
    IKEV2_INVALID_KE_PAYLOAD = 17,
    IKEV2_AUTHENTICATION_FAILED = 24,
    IKEV2_SINGLE_PAIR_REQUIRED = 34,
    IKEV2_NO_ADDITIONAL_SAS = 35,
    IKEV2_INTERNAL_ADDRESS_FAILURE = 36,
    IKEV2_FAILED_CP_REQUIRED = 37,
    IKEV2_TS_UNACCEPTABLE = 38,
    IKEV2_INVALID_SELECTORS = 39,
    IKEV2_UNACCEPTABLE_ADDRESSES = 40, /* RFC 4555 4, and those named so below */
    IKEV2_UNEXPECTED_NAT_DETECTED = 41,
    IKEV2_TEMPORARY_FAILURE = 43,
    IKEV2_CHILD_SA_NOT_FOUND = 44,
    IKEV2_STATE_NOT_FOUND = 47, /* RFC 9370 */
    IKEV2_TS_MAX_QUEUE = 48, /* RFC 9611 5.2 */
    IKEV2_INITIAL_CONTACT = 16384,
    IKEV2_SET_WINDOW_SIZE = 16385,
    IKEV2_ADDITIONAL_TS_POSSIBLE = 16386,
    IKEV2_IPCOMP_SUPPORTED = 16387,
    IKEV2_NAT_DETECTION_SOURCE_IP = 16388,
    IKEV2_NAT_DETECTION_DESTINATION_IP = 16389,
    IKEV2_COOKIE = 16390,
    IKEV2_USE_TRANSPORT_MODE = 16391,
    IKEV2_HTTP_CERT_LOOKUP_SUPPORTED = 16392,
    IKEV2_REKEY_SA = 16393,
    IKEV2_ESP_TFC_PADDING_NOT_SUPPORTED = 16394,
    IKEV2_NON_FIRST_FRAGMENTS_ALSO = 16395,
    IKEV2_MOBIKE_SUPPORTED = 16396,
    IKEV2_ADDITIONAL_IP4_ADDRESS = 16397,
    IKEV2_ADDITIONAL_IP6_ADDRESS = 16398,
    IKEV2_NO_ADDITIONAL_ADDRESSES = 16399,
    IKEV2_UPDATE_SA_ADDRESSES = 16400,
    IKEV2_COOKIE2 = 16401,
    IKEV2_NO_NATS_ALLOWED = 16402,
    IKEV2_AUTH_LIFETIME = 16403, /* RFC 4478 3 */
    IKEV2_MULTIPLE_AUTH_SUPPORTED = 16404, /* RFC 4739 3 */
    IKEV2_ANOTHER_AUTH_FOLLOWS = 16405,
    IKEV2_REDIRECT_SUPPORTED = 16406, /* RFC 5685 9 */
    IKEV2_REDIRECT = 16407,
    IKEV2_REDIRECTED_FROM = 16408,
    IKEV2_TICKET_LT_OPAQUE = 16409, /* RFC 5723 7 */
    IKEV2_TICKET_REQUEST = 16410,
    IKEV2_TICKET_ACK = 16411,
    IKEV2_TICKET_NACK = 16412,
    IKEV2_TICKET_OPAQUE = 16413,
    IKEV2_EAP_ONLY_AUTHENTICATION = 16417,
    IKEV2_CHILDLESS_SUPPORTED = 16418,
    IKEV2_QCD_TOKEN = 16419, /* RFC 6290 4.1 */
    IKEV2_FRAGMENTATION_SUPPORTED = 16430,
    IKEV2_SIGNATURE_HASH_ALGORITHMS = 16431,
    IKEV2_CLONE_IKE_SA_SUPPORTED = 16432, /* RFC 7791 6 */
    IKEV2_CLONE_IKE_SA = 16433,
    IKEV2_USE_PPK = 16435, /* RFC 8784 7 */
    IKEV2_PPK_IDENTITY = 16436,
    IKEV2_NO_PPK_AUTH = 16437,
    IKEV2_INTERMEDIATE_EXCHANGE_SUPPORTED = 16438, /* RFC 9242 */
    IKEV2_ADDITIONAL_KEY_EXCHANGE = 16441, /* RFC 9370 */
    IKEV2_USE_AGGFRAG = 16442, /* RFC 9347 5.1 */
    IKEV2_SUPPORTED_AUTH_METHODS = 16443, /* RFC 9593 */
    IKEV2_SA_RESOURCE_INFO = 16444, /* RFC 9611 5.1 */
    IKEV2_USE_PPK_INT = 16445, /* RFC 9867 */
    IKEV2_PPK_IDENTITY_KEY = 16446,
    IKEV2_PATH_PROBE = 60613, /* private use, ours: octets that only fill a message */
};

struct ikev2_header {
    uint64_t spi_i;
    uint64_t spi_r;
    uint8_t next_payload;
    uint8_t version; /* major << 4 | minor */
    uint8_t exchange;
    uint8_t flags;
    uint32_t message_id;
    uint32_t length;
};

/* Fails when the length field is not exactly what the message has. The version is not judged. */
MUST_USE bool ikev2_read_header(struct reader *r, struct ikev2_header *out);
/* The same of the beginning of a message that somebody quotes: what it says of its length stands.
 */
MUST_USE bool ikev2_read_quoted_header(struct reader *r, struct ikev2_header *out);
/* The length field is set later by ikev2_finish_message(). */
void ikev2_write_header(struct writer *w, const struct ikev2_header *h);
void ikev2_finish_message(struct writer *w);

struct ikev2_payload {
    uint8_t type;
    bool critical;
    struct slice body; /* behind the generic header */
};

/* Reads the payload whose type is *next and replaces *next by the one that follows. False at the
 * end (then *next is IKEV2_NO_NEXT_PAYLOAD and the reader is done) and on an error (reader
 * failed). SK and SKF are always last: their inner first type is left in *next for the caller. */
MUST_USE bool ikev2_read_payload(struct reader *r, uint8_t *next, struct ikev2_payload *out);

/* A chain of payloads being written: begin one, write its body, end it. The first type goes into
 * *first. */
struct ikev2_chain {
    struct writer *w;
    uint8_t *first; /* where the type of the first payload is to be noted */
    size_t last_offset; /* of the generic header written last; SIZE_MAX before the first */
};
struct ikev2_chain ikev2_chain_over(struct writer *w, uint8_t *first);
void ikev2_begin_payload(struct ikev2_chain *c, uint8_t type, bool critical);
void ikev2_end_payload(struct ikev2_chain *c);
void ikev2_write_payload(struct ikev2_chain *c, uint8_t type, struct slice body);

/* Security Association (3.3). All transforms of all proposals stand in one bounded array. */
#define IKEV2_PROPOSALS_MAX 48
#define IKEV2_TRANSFORMS_MAX 512

struct ikev2_wire_transform {
    uint8_t type;
    uint16_t id;
    uint16_t key_bits; /* attribute 14, 0 when absent */
    bool unknown_attribute; /* the transform must not be chosen (3.3.6) */
};

struct ikev2_wire_proposal {
    uint8_t number;
    uint8_t protocol;
    struct slice spi;
    uint16_t first; /* in transforms[] */
    uint16_t count;
};

struct ikev2_sa_payload {
    uint16_t proposal_count;
    uint16_t transform_count;
    struct ikev2_wire_proposal proposals[IKEV2_PROPOSALS_MAX];
    struct ikev2_wire_transform transforms[IKEV2_TRANSFORMS_MAX];
};
MUST_USE bool ikev2_read_sa(struct slice body, struct ikev2_sa_payload *out);
void ikev2_write_sa(struct writer *w, const struct ikev2_sa_payload *sa);

/* Key Exchange (3.4). */
struct ikev2_ke_payload {
    uint16_t group;
    struct slice value;
};
MUST_USE bool ikev2_read_ke(struct slice body, struct ikev2_ke_payload *out);
void ikev2_write_ke(struct writer *w, const struct ikev2_ke_payload *ke);

/* Identification (3.5). */
enum ikev2_id_type {
    IKEV2_ID_IPV4_ADDR = 1,
    IKEV2_ID_FQDN = 2,
    IKEV2_ID_RFC822_ADDR = 3,
    IKEV2_ID_IPV6_ADDR = 5,
    IKEV2_ID_DER_ASN1_DN = 9,
    IKEV2_ID_DER_ASN1_GN = 10,
    IKEV2_ID_KEY_ID = 11,
    IKEV2_ID_NULL = 13, /* RFC 7619 2.2 */
};
struct ikev2_id_payload {
    uint8_t type;
    struct slice data;
    /* Type, reserved, data: what the AUTH octets cover (2.15); set by read, not used by write. */
    struct slice whole;
};
MUST_USE bool ikev2_read_id(struct slice body, struct ikev2_id_payload *out);
void ikev2_write_id(struct writer *w, const struct ikev2_id_payload *id);

/* Authentication (3.8). */
enum ikev2_auth_method {
    IKEV2_AUTH_RSA_SIGNATURE = 1,
    IKEV2_AUTH_SHARED_KEY = 2,
    IKEV2_AUTH_DSS_SIGNATURE = 3,
    IKEV2_AUTH_ECDSA_256 = 9,
    IKEV2_AUTH_ECDSA_384 = 10,
    IKEV2_AUTH_ECDSA_521 = 11,
    IKEV2_AUTH_NULL = 13,
    IKEV2_AUTH_DIGITAL_SIGNATURE = 14,
};
struct ikev2_auth_payload {
    uint8_t method;
    struct slice data;
};
MUST_USE bool ikev2_read_auth(struct slice body, struct ikev2_auth_payload *out);
void ikev2_write_auth(struct writer *w, const struct ikev2_auth_payload *auth);

/* Notify (3.10). */
struct ikev2_notify_payload {
    uint8_t protocol;
    uint16_t type;
    struct slice spi;
    struct slice data;
};
MUST_USE bool ikev2_read_notify(struct slice body, struct ikev2_notify_payload *out);
void ikev2_write_notify(struct writer *w, const struct ikev2_notify_payload *n);
MUST_USE bool ikev2_notify_is_error(uint16_t type);

/* The data of IPCOMP_SUPPORTED (2.22). */
enum ikev2_ipcomp_transform {
    IKEV2_IPCOMP_OUI = 1,
    IKEV2_IPCOMP_DEFLATE = 2,
    IKEV2_IPCOMP_LZS = 3,
    IKEV2_IPCOMP_LZJH = 4,
};
struct ikev2_ipcomp {
    uint16_t cpi;
    uint8_t transform;
    struct slice attributes; /* of the transform; deflate has none */
};
MUST_USE bool ikev2_read_ipcomp(struct slice data, struct ikev2_ipcomp *out);
void ikev2_write_ipcomp(struct writer *w, const struct ikev2_ipcomp *ipcomp);

/* The one octet of USE_AGGFRAG (RFC 9347 6.1.4): what its sender demands. */
enum ikev2_aggfrag_flag {
    IKEV2_AGGFRAG_DONT_FRAGMENT = 0x01,
    IKEV2_AGGFRAG_CONGESTION_CONTROL = 0x02,
};

/* Delete (3.11). For IKE: spi_bytes 0 and count 0. SPIs stand one after the other in `spis`. */
struct ikev2_delete_payload {
    uint8_t protocol;
    uint8_t spi_bytes;
    uint16_t count;
    struct slice spis;
};
MUST_USE bool ikev2_read_delete(struct slice body, struct ikev2_delete_payload *out);
void ikev2_write_delete(struct writer *w, const struct ikev2_delete_payload *d);

/* Traffic selectors (3.13). Selectors of unknown types are skipped and counted. */
#define IKEV2_SELECTORS_MAX 255
struct ikev2_ts_payload {
    uint16_t count;
    uint16_t skipped;
    struct selector selectors[IKEV2_SELECTORS_MAX];
};
MUST_USE bool ikev2_read_ts(struct slice body, struct ikev2_ts_payload *out);
void ikev2_write_ts(struct writer *w, const struct selector *selectors, size_t count);

/* Configuration (3.15). */
enum ikev2_cp_type {
    IKEV2_CFG_REQUEST = 1,
    IKEV2_CFG_REPLY = 2,
    IKEV2_CFG_SET = 3,
    IKEV2_CFG_ACK = 4,
};
#define IKEV2_CP_ATTRIBUTES_MAX 64
struct ikev2_cp_attribute {
    uint16_t type;
    struct slice value;
};
struct ikev2_cp_payload {
    uint8_t type;
    uint16_t count;
    struct ikev2_cp_attribute attributes[IKEV2_CP_ATTRIBUTES_MAX];
};
MUST_USE bool ikev2_read_cp(struct slice body, struct ikev2_cp_payload *out);
void ikev2_write_cp(struct writer *w, const struct ikev2_cp_payload *cp);

/* Certificate and certificate request (3.6, 3.7). */
struct ikev2_cert_payload {
    uint8_t encoding;
    struct slice data;
};
MUST_USE bool ikev2_read_cert(struct slice body, struct ikev2_cert_payload *out);
void ikev2_write_cert(struct writer *w, const struct ikev2_cert_payload *cert);

/* EAP (3.16): the whole EAP packet, its length checked against the payload's. */
MUST_USE bool ikev2_read_eap(struct slice body, struct slice *packet);

/* Encrypted fragment (RFC 7383 2.5): what stands before the IV. */
struct ikev2_skf_head {
    uint16_t number;
    uint16_t total;
};
MUST_USE bool ikev2_read_skf_head(struct reader *body,
                                  struct ikev2_skf_head *out); /* refuses 0, number > total */

/* Names for people and logs; unknown numbers become "41000". */
const char *ikev2_exchange_name(uint8_t exchange); /* NULL when unknown */
const char *ikev2_payload_name(uint8_t type); /* "SA", "KEi", ...; NULL when unknown */
const char *ikev2_notify_name(uint16_t type); /* NULL when unknown */
/* HDR, SAi1, KEi, Ni, N(NAT_DETECTION_SOURCE_IP) ... in the notation of the RFC. `payloads` is the
 * chain from `first` on (the inner one of a decrypted message). Details of each payload follow, a
 * line each, indented. */
void ikev2_describe(const struct ikev2_header *h, uint8_t first, struct slice payloads,
                    struct text *out);

#endif
