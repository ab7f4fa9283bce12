/*
 * What the questions of both versions of IKE have in common when a peer is asked what it accepts
 * (probe.c walks, probe_ikev1.c and probe_ikev2.c ask). Only they include it.
 */
#ifndef SEKISHO_SEKISHO_PROBE_H
#define SEKISHO_SEKISHO_PROBE_H

#include "base/random.h"
#include "config/config.h"
#include "crypto/catalog.h"
#include "proto/ike/persona.h"
#include "sekisho/command.h"

#define PROBES_MAX 30
#define PROBE_KINDS_MAX 12
#define PROBE_CHOSEN_MAX 8
#define PROBE_COOKIE_BYTES 64

enum answer { ANSWER_NONE, ANSWER_ACCEPTED, ANSWER_REFUSED, ANSWER_OTHER_GROUP, ANSWER_ERROR };

struct kind {
    const char *words[PROBE_KINDS_MAX]; /* NULL behind the last */
    bool accepted[PROBE_KINDS_MAX];
};

struct probe;

/* One question after the other, until there is an answer: is this cipher taken, with this hash and
 * this group? NULL: with any that we know. Sets what stands in `probe` below "the last answer". */
typedef void probe_ask(struct probe *p, const char *cipher, const char *hash, const char *group);

struct probe_version {
    const char *name; /* "IKEv2" */
    probe_ask *ask;
    const char *(*error_name)(uint16_t notify);
    const char *when_silent; /* what may be the reason; NULL: nothing more is known */
};
extern const struct probe_version probe_ikev1;
extern const struct probe_version probe_ikev2;

struct probe {
    const struct command *command;
    const struct config_site *site;
    const struct probe_version *version;
    struct random_source random;
    int fd;
    unsigned sent;
    uint64_t last_ms;
    enum persona persona;
    /* The last answer. */
    enum answer answer;
    uint16_t notify;
    uint16_t wanted_group;
    struct transform chosen[PROBE_CHOSEN_MAX]; /* encryption, PRF, key exchange */
    size_t chosen_count;
    uint8_t cookie[PROBE_COOKIE_BYTES];
    size_t cookie_length;
    struct kind ciphers, hashes, groups;
    /* The first that was accepted, together; NULL: none. */
    const char *cipher, *hash, *group;
};

/* Sends it, not more than one a second, and gives what comes to `read` until it is an answer.
 * False: none came. */
bool probe_send(struct probe *p, struct slice question,
                bool (*read)(struct probe *p, struct slice message, struct slice question));

#endif
