/* What is hidden and what is signed in RADIUS packets, by the secret that both sides share. */
#ifndef SEKISHO_PROTO_RADIUS_SIGNING_H
#define SEKISHO_PROTO_RADIUS_SIGNING_H

#include "wire/radius.h"

#define RADIUS_PASSWORD_BYTES_MAX 128 /* RFC 2865 5.2 */

/* RFC 2865 5.2: User-Password. `out` gets a multiple of 16 octets, at least 16; their number, or 0
 * when the password is too long. */
MUST_USE size_t radius_hide_password(struct slice secret,
                                     const uint8_t authenticator[RADIUS_AUTHENTICATOR_BYTES],
                                     struct slice password, uint8_t out[RADIUS_PASSWORD_BYTES_MAX]);
/* RFC 3579 3.2: over a whole packet in which the attribute (`at` is where its value begins) counts
 * as zeros and the authenticator is the request's. */
void radius_message_authenticator(struct slice secret, struct slice packet, size_t at,
                                  const uint8_t authenticator[RADIUS_AUTHENTICATOR_BYTES],
                                  uint8_t out[RADIUS_AUTHENTICATOR_BYTES]);
/* RFC 2865 3: of a reply, under the authenticator of its request; of an Accounting-Request, under
 * zeros (RFC 2866 3). */
void radius_response_authenticator(struct slice secret, struct slice packet,
                                   const uint8_t authenticator[RADIUS_AUTHENTICATOR_BYTES],
                                   uint8_t out[RADIUS_AUTHENTICATOR_BYTES]);

enum radius_authentic {
    RADIUS_AUTHENTIC, /* both authenticators are right */
    RADIUS_UNSIGNED, /* the Response Authenticator is right, and there is no Message-Authenticator
                      */
    RADIUS_FORGED,
};
/* `bytes` are the octets of `reply`, no more. */
enum radius_authentic radius_judge_reply(struct slice secret, struct slice bytes,
                                         const struct radius_packet *reply,
                                         const uint8_t authenticator[RADIUS_AUTHENTICATOR_BYTES]);

#endif
