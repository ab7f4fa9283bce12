/* The queue of what must be done outside, oldest first. */
#include "gateway/inside.h"

#include <stdlib.h>
#include <string.h>

struct queued_action {
    struct queued_action *next;
    struct gateway_action action;
    size_t length;
    uint8_t bytes[];
};

static struct queued_action *add(struct gateway *g, enum gateway_action_kind kind, size_t length)
{
    struct queued_action *queued = calloc(1, sizeof(*queued) + length);

    if (queued == NULL) {
        return NULL;
    }
    queued->action.kind = kind;
    queued->length = length;
    if (g->actions_last == NULL) {
        g->actions_first = queued;
    } else {
        g->actions_last->next = queued;
    }
    g->actions_last = queued;
    return queued;
}

struct gateway_action *actions_add(struct gateway *g, enum gateway_action_kind kind)
{
    struct queued_action *queued = add(g, kind, 0);

    return queued == NULL ? NULL : &queued->action;
}

void actions_copy_words(char *out, size_t capacity, const char *words)
{
    struct text text = text_over(out, capacity);

    text_add(&text, words == NULL ? "" : words);
}

uint16_t actions_socket_port(const struct gateway *g, const struct endpoint *machine)
{
    if (g->config == NULL || machine->tcp) {
        return machine->port;
    }
    if (machine->port == IKE_PORT) {
        return g->config->port;
    }
    return machine->port == IKE_NAT_PORT ? g->config->nat_port : machine->port;
}

uint16_t actions_machine_port(const struct gateway *g, const struct endpoint *socket)
{
    if (g->config == NULL || socket->tcp) {
        return socket->port;
    }
    if (socket->port == g->config->port) {
        return IKE_PORT;
    }
    return socket->port == g->config->nat_port ? IKE_NAT_PORT : socket->port;
}

static void send_bytes(struct gateway *g, const struct endpoint *local, const struct endpoint *peer,
                       size_t marker, struct slice bytes, enum send_size size)
{
    if (g->queued_sends >= QUEUED_SENDS_MAX) {
        return;
    }
    struct queued_action *queued = add(g, GATEWAY_SEND, marker + bytes.length);

    if (queued == NULL) {
        return;
    }
    memcpy(queued->bytes + marker, bytes.data, bytes.length);
    queued->action.send.local = *local;
    queued->action.send.local.port = actions_socket_port(g, local);
    queued->action.send.peer = *peer;
    queued->action.send.bytes = (struct slice){queued->bytes, queued->length};
    queued->action.send.dont_fragment = size == SEND_WHOLE;
    queued->action.send.cut = size == SEND_IN_PIECES;
    g->queued_sends++;
    g->messages_out++;
}

/* RFC 3948 2.2, RFC 9329 3.1: on port 4500 and over TCP four octets of zeros stand where ESP has
 * its SPI. */
void actions_send(struct gateway *g, const struct endpoint *local, const struct endpoint *peer,
                  struct slice bytes, enum send_size size)
{
    send_bytes(g, local, peer, local->port == IKE_PORT && !local->tcp ? 0 : 4, bytes, size);
}

/* RFC 3948 2.3. */
void actions_send_keepalive(struct gateway *g, const struct endpoint *local,
                            const struct endpoint *peer)
{
    static const uint8_t keepalive[1] = {0xff};

    send_bytes(g, local, peer, 0, SLICE_OF(keepalive), SEND_ANYHOW);
}

static struct queued_action *take(struct gateway *g)
{
    struct queued_action *queued = g->actions_first;

    if (queued == NULL) {
        return NULL;
    }
    g->actions_first = queued->next;
    if (g->actions_first == NULL) {
        g->actions_last = NULL;
    }
    if (queued->action.kind == GATEWAY_SEND) {
        g->queued_sends--;
    }
    return queued;
}

bool gateway_next_action(struct gateway *g, struct gateway_action *out)
{
    free(g->action_taken);
    g->action_taken = take(g);
    if (g->action_taken == NULL) {
        return false;
    }
    *out = g->action_taken->action;
    return true;
}

void actions_fini(struct gateway *g)
{
    struct queued_action *queued;

    free(g->action_taken);
    g->action_taken = NULL;
    while ((queued = take(g)) != NULL) {
        if (queued->action.kind == GATEWAY_KEY_EXCHANGE) {
            key_pair_wipe(&queued->action.key_exchange->pair);
            free(queued->action.key_exchange);
        } else if (queued->action.kind == GATEWAY_PROOF) {
            ikev2_proof_free(queued->action.proof.work);
        } else if (queued->action.kind == GATEWAY_LOGIN) {
            login_question_fini(queued->action.login.question);
            free(queued->action.login.question);
        } else if (queued->action.kind == GATEWAY_SESSION) {
            free(queued->action.session);
        }
        free(queued);
    }
}
