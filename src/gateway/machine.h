/*
 * The machine of an IKE SA, of whichever version: events go in, and what it says comes out in the
 * words of IKEv2's (proto/ikev2/sa.h), in the gateway's list of actions. What a version cannot do
 * it does not do: nothing comes out then.
 */
#ifndef SEKISHO_GATEWAY_MACHINE_H
#define SEKISHO_GATEWAY_MACHINE_H

#include "proto/ikev1/sa.h"
#include "proto/ikev2/sa.h"

struct ike;
struct site;
struct terms;

/* An IKEv1 machine and what IKEv2's words do not have. */
struct old_machine {
    struct ikev1_sa *sa;
    enum ikev1_failure_reason failed; /* of the last failure that it told */
    const struct ikev1_policy *proven; /* of those that were possible, when it is established */
    bool initial_contact; /* the peer has no other SA with us */
    bool opened; /* one of the openings of strangers was spent on him */
    struct site *absorb_into; /* whose older one is to take over what this one has */
    struct person *person; /* who logs in, or we; NULL: nobody */
    struct terms **candidates; /* of a responder until then; held */
    size_t candidate_count;
};

/* IKEv1 when ike->is_old; false: no memory. Terms are in the IKE SA already. */
MUST_USE bool machine_begin(struct ike *ike);
MUST_USE bool machine_answer(struct ike *ike);
void machine_free(struct ike *ike);

void machine_start(struct ike *ike, uint64_t now_ms);
MUST_USE bool machine_resume(struct ike *ike, const struct ikev2_session *session,
                             struct slice ticket);
void machine_receive(struct ike *ike, struct slice message, const struct endpoint *local,
                     const struct endpoint *peer, uint64_t now_ms);
void machine_time(struct ike *ike, uint64_t now_ms);
uint64_t machine_deadline_ms(const struct ike *ike);
void machine_rest(struct ike *ike);
void machine_answer_key_exchange(struct ike *ike, uint32_t id, bool ok, struct key_pair *pair,
                                 struct secret *shared, uint64_t now_ms);
void machine_answer_spi(struct ike *ike, uint32_t id, uint32_t spi, uint64_t now_ms);
void machine_answer_proof(struct ike *ike, uint32_t id, struct ikev2_proof *proof, uint64_t now_ms);
/* Of IKEv1 alone. */
void machine_answer_login(struct ike *ike, uint32_t id, const struct ikev1_login_answer *answer,
                          uint64_t now_ms);
void machine_answer_credentials(struct ike *ike, uint32_t id,
                                const struct ikev1_credentials *credentials, uint64_t now_ms);
void machine_answer_settings(struct ike *ike, uint32_t id, const struct ikev1_settings *settings,
                             uint64_t now_ms);
void machine_answer_peer(struct ike *ike, uint32_t id, const struct ikev2_policy *policy,
                         uint64_t now_ms);
/* Of IKEv2 alone: the PPKs of the names that were asked for. */
void machine_answer_ppk(struct ike *ike, uint32_t id, const struct ikev2_ppk *const *known,
                        size_t count, uint64_t now_ms);
/* Of IKEv1: those of its candidates. */
void machine_answer_candidates(struct ike *ike, uint32_t id, uint64_t now_ms);
void machine_close(struct ike *ike, enum ikev2_failure_reason why, uint64_t now_ms);
void machine_rekey(struct ike *ike, uint64_t now_ms);
void machine_rekey_child(struct ike *ike, uint32_t spi_in, uint64_t now_ms);
/* IKEv1 makes a child for each pair of networks: all of the part are there. */
MUST_USE bool machine_has_children(const struct ike *ike, size_t part);
void machine_start_child(struct ike *ike, size_t part, uint64_t now_ms);
void machine_start_child_for(struct ike *ike, size_t part, const struct ikev2_packet *packet,
                             uint64_t now_ms);
void machine_close_child(struct ike *ike, uint32_t spi_in, uint64_t now_ms);
void machine_ask_liveness(struct ike *ike, uint64_t now_ms);
void machine_probe_path(struct ike *ike, uint16_t bytes, uint64_t now_ms);
void machine_child_heard(struct ike *ike, uint32_t spi_in, uint64_t now_ms);
void machine_child_moved(struct ike *ike, uint32_t spi_in, const struct endpoint *peer,
                         uint64_t now_ms);
void machine_move(struct ike *ike, const struct endpoint *local, const struct endpoint *peer,
                  bool trying, uint64_t now_ms);
void machine_test_way(struct ike *ike, const struct endpoint *local, const struct endpoint *peer,
                      uint64_t now_ms);
void machine_addresses_changed(struct ike *ike, uint64_t now_ms);
MUST_USE bool machine_carry(struct ike *ike, const struct endpoint *local,
                            const struct endpoint *peer, uint64_t now_ms);
/* Who lost what both sides had (crash.c); of IKEv2 alone. */
void machine_make_tokens(struct ike *ike, const uint8_t *secret);
MUST_USE bool machine_hear_crash(struct ike *ike, struct slice message, uint64_t now_ms);
MUST_USE bool machine_is_denied(const struct ike *ike, struct slice message);
void machine_hurry(struct ike *ike, uint64_t now_ms);
void machine_redirect(struct ike *ike, const struct ikev2_redirect *to, uint64_t now_ms);
void machine_set_policy(struct ike *ike);
void machine_set_fingerprint(struct ike *ike, uint64_t fingerprint);
void machine_set_beside(struct ike *ike);
void machine_set_quirks(struct ike *ike, unsigned quirks);
void machine_get_info(const struct ike *ike, struct ikev2_sa_info *out);
MUST_USE bool machine_child_at(const struct ike *ike, size_t index, struct ikev2_child_info *out);
size_t machine_peer_addresses(const struct ike *ike, struct address out[IKEV2_ADDRESSES_MAX]);
/* IKEv1: `sa` takes over what `from` has, which is over then. What `from` says comes out first:
 * machine_absorbed() gives the rest. False: no memory, and nothing happened. */
MUST_USE bool machine_absorb(struct ike *sa, struct ike *from, uint64_t now_ms);
void machine_absorbed(struct ike *sa);

/* What the exchange or the notification of a failure is called; NULL: it has no name. */
const char *machine_exchange_name(uint8_t exchange);
const char *machine_notify_name(uint8_t exchange, uint16_t notify);

#endif
