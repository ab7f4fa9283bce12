/*
 * What is asked of tokens: keys are opened and sign in threads of their own, so that a slow or
 * silent token keeps neither the control thread nor anybody's key exchange waiting.
 */
#ifndef SEKISHO_SEKISHOD_TOKENS_H
#define SEKISHO_SEKISHOD_TOKENS_H

#include <stdbool.h>
#include <stdint.h>

#include "loader/certificates.h"

struct daemon;
struct exchange;
struct tokens;

/* The threads are started with the first question. */
void tokens_free(struct tokens *tokens); /* NULL is allowed */
/* Opens the key; the answer goes to the gateway. Takes the reading. */
void tokens_read(struct daemon *daemon, uint64_t question, struct certificates_reading *reading,
                 uint64_t now_ms);
/* A proof to be signed. False: too many wait. */
MUST_USE bool tokens_sign(struct daemon *daemon, struct exchange *exchange);
/* Brings the answers back. */
void tokens_turn(struct daemon *daemon, uint64_t now_ms);

#endif
