/* What the formats of other products have in common: their words for our algorithms, and the parts
 * of a text that several of them write. Only the formats include it. */
#ifndef SEKISHO_SEKISHO_EXPORT_WORDS_H
#define SEKISHO_SEKISHO_EXPORT_WORDS_H

#include "crypto/catalog.h"
#include "sekisho/export_peer.h"

struct algorithm_words {
    uint8_t type;
    uint16_t id, key_bits;
    const char *libreswan, *cisco, *asa, *fortigate, *mikrotik; /* NULL: cannot, or not known */
};

/* NULL: none of them knows it. */
const struct algorithm_words *export_words_of(const struct transform *t);

/* A product that wants one combination. */
enum product { PRODUCT_CISCO, PRODUCT_ASA, PRODUCT_FORTIGATE, PRODUCT_MIKROTIK };

/* With an AEAD the hash is the PRF's; NULL in ESP. The group is NULL where there is none. */
struct combination {
    const char *cipher, *hash, *group;
    bool aead;
};

/* The first of ours that the product can. False: it can none, which is said in `out`. */
bool export_choose(const struct export_peer *e, enum product product, struct combination *ike,
                   struct combination *esp, struct sheet *out);

/* A network there and one here, of one family. */
struct export_pair {
    const struct network *theirs, *ours;
    size_t number, our_number; /* which network there and which here, from 1 */
};

/* The next pair; *place is 0 in the beginning. False: there is none. */
bool export_next_pair(const struct export_peer *e, size_t *place, struct export_pair *out);
size_t export_pair_count(const struct export_peer *e);
/* The site speaks IKEv1 alone: what it may speak besides is not exported. */
bool export_is_old(const struct export_peer *e);
/* Of what protects the negotiation, IKEv1 has no AEAD. */
bool export_is_for_ike(const struct export_peer *e, const struct proposal *p);
/* The site makes a child for each of them, as IKEv1 always does. */
bool export_is_pairs(const struct export_peer *e);
/* Where the product does and the site does not: a line that says so behind `mark`. */
void export_pairs_remark(const struct export_peer *e, const char *mark, struct sheet *out);

/* "10.1.0.0/16,10.5.0.0/16" */
void export_networks(const struct network *list, size_t count, const char *between,
                     struct sheet *out);
/* A secret, or `missing` where it was not asked for or would end a string of theirs; the key. */
void export_text(struct slice secret, const char *missing, struct sheet *out);
void export_secret(const struct export_peer *e, const char *missing, struct sheet *out);
void export_hex(struct slice s, struct sheet *out);
unsigned long long export_seconds(uint64_t ms);

void export_strongswan(const struct export_peer *e, struct sheet *out);
void export_opnsense(const struct export_peer *e, struct sheet *out);
void export_libreswan(const struct export_peer *e, struct sheet *out);
void export_sekisho(const struct export_peer *e, struct sheet *out);
void export_cisco_ios(const struct export_peer *e, struct sheet *out);
void export_cisco_asa(const struct export_peer *e, struct sheet *out);
void export_fortigate(const struct export_peer *e, struct sheet *out);
void export_mikrotik(const struct export_peer *e, struct sheet *out);

#endif
