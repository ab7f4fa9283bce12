/*
 * Worlds whose sites speak IKEv1: decides which modes and proofs they have, what the administrators
 * order at the same moment, and when a node stands still.
 */
#include "tests/sim/inside.h"

#include <stdio.h>

void old_choose_world(struct simulation *sim)
{
    struct world *world = &sim->world;

    world->old = true;
    world->aggressive = sim_chance(sim, 3) == 0;
    world->certificates = sim_chance(sim, 3) == 0;
    world->small = sim_chance(sim, 3) == 0;
    world->by_name = sim_chance(sim, 3) == 0;
    world->native = sim_chance(sim, 4) == 0;
    if (!world->native && sim_chance(sim, 2) == 0) {
        sim_stand_behind_nat(sim);
    }
}

void old_choose_faults(struct simulation *sim, uint32_t faults_ms)
{
    if (sim_chance(sim, 2) == 0) {
        sim_event(sim, EVENT_ORDER, 0, 1000 + sim_chance(sim, 40000));
    }
    for (uint32_t i = sim_chance(sim, 3); i > 0; i--) {
        sim_event(sim, EVENT_SLEEP, (uint8_t)sim_chance(sim, NODES),
                  1 + sim_chance(sim, faults_ms));
    }
}

void old_write_config(const struct world *world, struct text *text)
{
    if (!world->old) {
        return;
    }
    text_addf(text, "  ike v1 %saes128-sha256-ecp256\n%s  esp aes128-sha256-ecp256\n%s",
              world->aggressive ? "aggressive " : "",
              world->aggressive ? "  legacy aggressive\n" : "",
              world->small ? "  fragmentation 576\n" : "");
}

/* ---- orders ---- */

static void order(struct simulation *sim, uint8_t index, uint32_t kind)
{
    struct node *node = &sim->nodes[index];
    char why[256];
    bool known = true;

    if (!node->alive || node->asleep_until_ms > sim->now_ms) {
        return;
    }
    if (kind < 2) {
        known = gateway_rekey(node->gateway, node->site, kind == 0, sim->now_ms, why, sizeof(why));
    } else if (kind == 2) {
        known = gateway_restart(node->gateway, node->site, sim->now_ms, why, sizeof(why));
    } else {
        known = gateway_down(node->gateway, node->site, sim->now_ms, why, sizeof(why)) &&
                gateway_up(node->gateway, node->site, sim->now_ms, why, sizeof(why));
    }
    if (sim->verbose) {
        static const char *const names[] = {"rekey the IKE SA", "rekey the child", "restart",
                                            "go down and up"};

        printf("%8.3f  node %u is told to %s%s\n", (double)sim->now_ms / 1000, index, names[kind],
               known ? "" : ": refused");
    }
    sim_end_turn(sim, index);
}

void old_order(struct simulation *sim)
{
    uint32_t who = sim_chance(sim, 4);
    uint32_t kind = sim_chance(sim, 4);

    for (uint8_t i = 0; i < NODES; i++) {
        if (who >= NODES || who == i) {
            order(sim, i, kind);
        }
    }
}

bool old_sleeps(const struct simulation *sim, const struct event *event)
{
    const struct node *node = &sim->nodes[event->node];

    switch (event->kind) {
    case EVENT_KEY_EXCHANGE:
    case EVENT_PROOF:
    case EVENT_CERTIFICATES:
    case EVENT_RESOLVED:
    case EVENT_TRAFFIC:
        return node->alive && node->asleep_until_ms > sim->now_ms;
    case EVENT_DATAGRAM:
    case EVENT_KILL:
    case EVENT_START:
    case EVENT_REBIND:
    case EVENT_MOVE:
    case EVENT_TCP_OPENED:
    case EVENT_TCP_CUT:
    case EVENT_TCP_LOST:
    case EVENT_ORDER:
    case EVENT_SLEEP:
        return false;
    }
    return false;
}
