/* Who somebody says to be (RFC 7296 3.5), and whether that is who is meant. */
#ifndef SEKISHO_PROTO_IKE_IDENTITY_H
#define SEKISHO_PROTO_IKE_IDENTITY_H

#include "base/address.h"
#include "base/text.h"

#define IKE_IDENTITY_BYTES_MAX 256

struct ike_identity {
    uint8_t type; /* enum ikev2_id_type; 0 none */
    uint16_t length;
    uint8_t data[IKE_IDENTITY_BYTES_MAX];
};

/* From a word of the configuration: an address, user@name, @#hex or "keyid:..." a KEY_ID, all
 * else (with or without a leading @) a host name. False when it is too long or empty. */
MUST_USE bool ike_identity_parse(struct slice word, struct ike_identity *out);
/* False when it is empty or too long, or an address of a wrong length. */
MUST_USE bool ike_identity_set(struct ike_identity *out, uint8_t type, struct slice data);
/* By value; names without regard to case and a final dot. Across types unless `strict` (some
 * clients send every name as KEY_ID). Type 0 matches nothing, not even itself: whoever accepts
 * any identity does not ask. */
MUST_USE bool ike_identity_matches(const struct ike_identity *expected,
                                   const struct ike_identity *said, bool strict);
/* Escaped, at most 4 * length + 16 octets: tokyo.example.jp, 203.0.113.1, key id "group". */
void ike_identity_describe(const struct ike_identity *id, struct text *out);

#endif
