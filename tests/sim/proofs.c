/*
 * Decides how the nodes prove themselves by certificates: when their files can be read, how long a
 * signature takes, and when it cannot be made. Keys are Ed25519, so that the same seed gives the
 * same octets; IKEv1 has none of those, and RSA keys, made anew for each program, do as well for as
 * long as it runs.
 */
#include <stdlib.h>
#include <string.h>

#include "crypto/certificate_testbed.h"
#include "tests/sim/inside.h"

static struct {
    struct certificate *root;
    struct credential *own[NODES];
    struct trust *trust;
} files;

static struct private_key *make_key(uint8_t fill)
{
    /* PKCS#8 (RFC 8410 7) */
    uint8_t der[48] = {0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06,
                       0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20};
    struct private_key *key = NULL;

    memset(der + 16, fill, 32);
    if (private_key_read(SLICE_OF(der), (struct slice){0}, &key) != PRIVATE_KEY_FINE) {
        abort();
    }
    return key;
}

static void make_files(bool old)
{
    static const char *const names[NODES] = {"DNS:node0.example", "DNS:node1.example"};
    struct private_key *root_key = make_key(1);

    files.root = testbed_issue(&testbed_root, root_key, NULL, NULL);
    for (size_t i = 0; i < NODES; i++) {
        struct private_key *key =
            old ? private_key_make(KEY_RSA, 2048) : make_key((uint8_t)(2 + i));
        struct testbed_order order = testbed_gateway;

        order.names = names[i];
        order.serial = (long)(10 + i);
        struct certificate *certificate = testbed_issue(&order, key, files.root, root_key);

        files.own[i] = testbed_credential(key, &certificate, 1);
        certificate_free(certificate);
        private_key_free(key);
    }
    files.trust = testbed_trust(files.root);
    private_key_free(root_key);
}

void proofs_end(void)
{
    if (files.root == NULL) {
        return;
    }
    for (size_t i = 0; i < NODES; i++) {
        credential_free(files.own[i]);
    }
    trust_free(files.trust);
    certificate_free(files.root);
}

void proofs_ask(struct simulation *sim, uint8_t node, struct ikev2_proof *proof)
{
    struct event *event =
        sim_event(sim, EVENT_PROOF, node,
                  sim_chance(sim, 4) == 0 ? sim_chance(sim, 3000) : sim_chance(sim, 5));

    event->proof = proof;
    event->known = sim->calm || sim_chance(sim, 12) != 0;
}

void proofs_answer(struct simulation *sim, const struct event *event)
{
    if (event->known) {
        ikev2_proof_run(event->proof, PROOFS_NOW_S);
    } else {
        event->proof->result = IKEV2_PROOF_NO_MEMORY;
    }
    gateway_proof_done(sim->nodes[event->node].gateway, event->proof, sim->now_ms);
}

void proofs_read(struct simulation *sim, uint8_t node, uint64_t question)
{
    struct event *event = sim_event(sim, EVENT_CERTIFICATES, node, sim_chance(sim, 50));

    event->question = question;
    event->known = sim->calm || sim_chance(sim, 10) != 0;
}

void proofs_certificates(struct simulation *sim, const struct event *event)
{
    if (files.root == NULL) {
        make_files(sim->world.old);
    }
    gateway_certificates(
        sim->nodes[event->node].gateway, event->question,
        event->known ? files.own[event->node] : NULL, event->known ? files.trust : NULL,
        event->known ? NULL : "the simulation's disk does not answer", sim->now_ms);
}
