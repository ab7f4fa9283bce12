/* What the files of Quick Mode share; see quick.c. */
#ifndef SEKISHO_PROTO_IKEV1_QUICK_H
#define SEKISHO_PROTO_IKEV1_QUICK_H

#include "proto/ikev1/machine.h"

/* ---- quick.c ---- */

/* NULL: there are too many, or no memory. */
MUST_USE struct ikev1_quick *ikev1_quick_new(struct ikev1_turn *t, struct ikev1_ike *ike,
                                             uint32_t message_id, bool initiator);
/* It only answers what comes again. */
void ikev1_quick_done(struct ikev1_turn *t, struct ikev1_quick *q);
/* It came to nothing. What it should have replaced goes on and is tried again later, as long as it
 * lives. */
void ikev1_quick_fail(struct ikev1_turn *t, struct ikev1_quick *q,
                      const struct ikev1_failure *failure);
void ikev1_quick_fail_for(struct ikev1_turn *t, struct ikev1_quick *q,
                          enum ikev1_failure_reason reason, uint16_t notify, const char *detail);
/* One, and another one where AH goes around ESP. */
void ikev1_quick_ask_spis(struct ikev1_turn *t, struct ikev1_quick *q, bool around);
/* `peer_public` empty: only make a pair. */
void ikev1_quick_ask_key_exchange(struct ikev1_turn *t, struct ikev1_quick *q,
                                  struct slice peer_public);
/* For the initiator the child is there; CONNECTED came, or a packet through it. */
void ikev1_quick_use(struct ikev1_turn *t, struct ikev1_quick *q);
/* The responder knows that the initiator has the child. */
void ikev1_quick_prove(struct ikev1_turn *t, struct ikev1_quick *q);

/* ---- quick_messages.c ---- */

void ikev1_quick_send_1(struct ikev1_turn *t, struct ikev1_quick *q);
void ikev1_quick_send_2(struct ikev1_turn *t, struct ikev1_quick *q);
void ikev1_quick_send_3(struct ikev1_turn *t, struct ikev1_quick *q);
/* Decrypted under a copy of the IV, with a HASH first. */
MUST_USE bool ikev1_quick_open(struct ikev1_turn *t, struct ikev1_quick *q, struct ikev1_iv *iv,
                               struct ikev1_message *m);
MUST_USE bool ikev1_quick_ke_fits(uint16_t group, struct slice ke);
/* NAT-OA, in transport mode through a NAT. */
void ikev1_quick_read_originals(struct ikev1_turn *t, struct ikev1_quick *q,
                                const struct ikev1_message *m);

/* ---- quick_initiator.c, quick_responder.c ---- */

void ikev1_quick_receive_2(struct ikev1_turn *t, struct ikev1_quick *q, struct ikev1_message *m);
/* The peer refused the key exchange or all proposals with it: true when another group, or none, is
 * tried instead. `q` is gone then. */
MUST_USE bool ikev1_quick_try_another(struct ikev1_turn *t, struct ikev1_quick *q);
void ikev1_quick_receive_1(struct ikev1_turn *t, struct ikev1_ike *ike, struct ikev1_message *m,
                           const uint8_t digest[32]);
void ikev1_quick_receive_3(struct ikev1_turn *t, struct ikev1_quick *q, struct ikev1_message *m);
void ikev1_quick_refuse(struct ikev1_turn *t, struct ikev1_quick *q,
                        const struct ikev1_failure *failure);

#endif
