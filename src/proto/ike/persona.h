/*
 * Who a peer probably is: by the vendor IDs of its first message (RFC 7296 3.12), or by the shape
 * of its offer. Anybody can say anything, so nothing that matters for security follows from it:
 * only what is told to people, and what is left out because such a peer stumbles over it.
 */
#ifndef SEKISHO_PROTO_IKE_PERSONA_H
#define SEKISHO_PROTO_IKE_PERSONA_H

#include "base/bytes.h"

enum persona {
    PERSONA_UNKNOWN,
    PERSONA_SEKISHO,
    PERSONA_STRONGSWAN,
    PERSONA_FORTIGATE,
    PERSONA_CISCO_IOS,
    PERSONA_CISCO,
    PERSONA_CHECK_POINT,
    PERSONA_JUNIPER,
    PERSONA_SONICWALL,
    PERSONA_RACOON,
    PERSONA_WINDOWS,
    PERSONA_AZURE,
    PERSONA_GOOGLE_CLOUD,
    PERSONA_APPLE,
    PERSONA_ANDROID,
    PERSONA_COUNT,
};

/* What it is known for. */
enum persona_trait {
    PERSONA_ONE_PAIR = 1, /* one pair of networks to a child */
    PERSONA_DUPLICATES = 2, /* begins an IKE SA of its own on any that it gets */
    PERSONA_MIXED_UDP = 4, /* ESP in UDP in one direction and without in the other */
    PERSONA_NO_CHILD_GROUP = 8, /* refuses a key exchange that is proposed for a child */
    PERSONA_NO_CHILD_REKEY = 16, /* behind a NAT: refuses that we renew a child */
    PERSONA_NO_VENDOR_IDS = 32, /* some versions broke off when they saw any */
};

/* From the payloads of IKE_SA_INIT, in clear; malformed ones are what was read of them. The shape
 * of an offer says something about who made it: only of a request. `said`: it was found in what it
 * says, and not guessed from what it offers. */
enum persona persona_of(uint8_t first, struct slice payloads, bool request, bool *said);
/* The same from the payloads of IKEv1's Main or Aggressive Mode (RFC 2408 3.16), in clear; by what
 * it says alone. Unknown: nothing in them says it. */
enum persona persona_of_ikev1(uint8_t first, struct slice payloads);
const char *persona_name(enum persona persona); /* "FortiGate"; "" for unknown */
unsigned persona_traits(enum persona persona);
/* What stands behind `like` in the configuration; NULL when there is no such preset. */
const char *persona_preset(enum persona persona);

#endif
