/*
 * One gateway and a crowd of callers, in memory and in virtual time: the callers are made by a
 * second gateway with as many sites. A datagram takes a millisecond; each caller has an address of
 * its own. What the hub does is called from crowd_hub_turn() alone, so that it can be measured.
 */
#ifndef SEKISHO_TESTS_SUPPORT_CROWD_H
#define SEKISHO_TESTS_SUPPORT_CROWD_H

#include "gateway/status.h"

struct crowd;

struct crowd_datagram;

struct crowd_queue {
    struct crowd_datagram *first, **last;
    size_t count;
};

struct crowd_node {
    struct crowd *crowd;
    struct crowd_node *other;
    struct gateway *gateway; /* NULL when it does not run */
    struct dataplane *dataplane;
    struct address address;
    struct crowd_queue in;
    struct log_sink log;
    const char *text; /* its configuration */
    uint64_t lines, sends, received, exchanges;
};

/* Instead of a shared key. */
struct crowd_certificates {
    struct credential *hub;
    struct credential **callers; /* one for each, for cN.example.jp */
    struct trust *trust; /* of both */
    int64_t now_s;
};

struct crowd {
    uint64_t now_ms;
    size_t callers_count;
    struct random_source *random; /* borrowed */
    struct crowd_node hub, callers;
    char *hub_text, *callers_text;
    uint32_t sources;
    const struct crowd_certificates *certificates; /* NULL: all have the same shared key */
    /* Called around each key exchange and each proof of the hub; NULL: nobody counts. */
    void (*exchange_begins)(void);
    void (*exchange_ends)(void);
};

/* `hub_words` are lines outside of all sites, `words` lines of each site, of both. The hub runs. */
void crowd_open(struct crowd *c, size_t callers, const char *hub_words, const char *words,
                struct random_source *random);
/* The same with certificates, which are borrowed. */
void crowd_open_certified(struct crowd *c, size_t callers, const char *hub_words, const char *words,
                          const struct crowd_certificates *certificates,
                          struct random_source *random);
void crowd_close(struct crowd *c);
/* The callers come. */
void crowd_call(struct crowd *c);
/* They are gone without a word. */
void crowd_vanish(struct crowd *c);
/* What is here now, and what is due. */
void crowd_hub_turn(struct crowd *c);
void crowd_callers_turn(struct crowd *c);
/* Until nothing is due before the time comes. */
void crowd_run(struct crowd *c, uint64_t for_ms);
/* Sites of the hub that are up. */
size_t crowd_up(const struct crowd *c);
/* Reads the configuration of the hub again. */
void crowd_reload(struct crowd *c);

#endif
