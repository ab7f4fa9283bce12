/*
 * The data plane and the workers of the daemon without its configuration: SAs out of a list. Manual
 * keys never go with counter mode (RFC 4303 3.4.3, RFC 3686 and others: a number must not be used
 * twice under a key), so this is how such a cipher meets another kernel's manual keys.
 *
 *     plane_probe LIST DEVICE
 *
 * A line of LIST: NAME esp|ah tunnel|transport ENCRYPTION KEY_BITS INTEGRITY ESN CPI around|alone
 * SPI_IN SPI_OUT KEY_IN KEY_OUT LOCAL PEER LOCAL_NETWORK REMOTE_NETWORK; numbers are those of
 * IKEv2, a key is in hex, of the cipher and then of the integrity algorithm. With a CPI that is not
 * 0 there is IPComp inside. `around`: this SA goes around that of the line before. The output is
 * `ready`, and at the end (SIGTERM) the doors: `dropped REASON COUNT`.
 */
#include "crypto/protect.h"
#include "dataplane/dataplane.h"
#include "host/clock.h"
#include "host/entropy.h"
#include "host/loop.h"
#include "host/netlink.h"
#include "sekishod/worker.h"
#include "wire/ip.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAS_MAX 4096
#define WORD_BYTES 160
#define TUN_MTU 1500 /* as the daemon does */

struct line {
    char name[WORD_BYTES], protocol[WORD_BYTES], mode[WORD_BYTES];
    unsigned encryption, key_bits, integrity, esn, cpi;
    char place[WORD_BYTES];
    unsigned spi_in, spi_out;
    char key_in[2 * WORD_BYTES], key_out[2 * WORD_BYTES];
    char local[WORD_BYTES], peer[WORD_BYTES];
    char local_network[WORD_BYTES], remote_network[WORD_BYTES];
};

static struct line lines[SAS_MAX];
static struct selector ends[SAS_MAX][2];
static struct policy policies[SAS_MAX];
static bool ended;

static _Noreturn void fail(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(2);
}

static size_t read_list(const char *path)
{
    static char text[4096];
    size_t count = 0;
    FILE *file = fopen(path, "r");

    if (file == NULL) {
        fail(path, "cannot be read");
    }
    while (count < SAS_MAX && fgets(text, sizeof(text), file) != NULL) {
        struct line *l = &lines[count];

        if (sscanf(text,
                   "%159s %159s %159s %u %u %u %u %u %159s %u %u %319s %319s %159s %159s %159s "
                   "%159s",
                   l->name, l->protocol, l->mode, &l->encryption, &l->key_bits, &l->integrity,
                   &l->esn, &l->cpi, l->place, &l->spi_in, &l->spi_out, l->key_in, l->key_out,
                   l->local, l->peer, l->local_network, l->remote_network) != 17) {
            fail(path, text);
        }
        count++;
    }
    fclose(file);
    return count;
}

static struct slice key_of(const char *hex, uint8_t *out)
{
    size_t count = 0;

    for (; hex[0] != 0 && hex[1] != 0; hex += 2) {
        char pair[3] = {hex[0], hex[1], 0};

        out[count++] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return (struct slice){out, count};
}

static struct endpoint endpoint_of(const char *text)
{
    struct endpoint endpoint = {0};

    if (!address_parse(slice_of_text(text), &endpoint.address)) {
        fail(text, "is not an address");
    }
    return endpoint;
}

static struct selector selector_of(const char *text)
{
    struct network network;

    if (!network_parse(slice_of_text(text), &network)) {
        fail(text, "is not a network");
    }
    return selector_of_network(&network);
}

static bool is_around(size_t index)
{
    return strcmp(lines[index].place, "around") == 0;
}

static void install(struct dataplane *dp, size_t index, size_t count)
{
    const struct line *l = &lines[index];
    uint8_t in[WORD_BYTES], out[WORD_BYTES];
    struct child_sa sa = {
        .spi_in = l->spi_in,
        .spi_out = l->spi_out,
        .inside_spi_in = is_around(index) ? lines[index - 1].spi_in : 0,
        .waits_for_outer = index + 1 < count && is_around(index + 1),
        .compress = l->cpi != 0,
        .cpi_in = (uint16_t)l->cpi,
        .cpi_out = (uint16_t)l->cpi,
        .policy_id = (uint32_t)(is_around(index) ? index - 1 : index) + 1,
        .protocol = strcmp(l->protocol, "ah") == 0 ? IP_PROTOCOL_AH : IP_PROTOCOL_ESP,
        .transport_mode = strcmp(l->mode, "transport") == 0,
        .suite = {.encryption = (uint16_t)l->encryption,
                  .key_bits = (uint16_t)l->key_bits,
                  .integrity = (uint16_t)l->integrity,
                  .esn = l->esn != 0},
        .key_in = key_of(l->key_in, in),
        .key_out = key_of(l->key_out, out),
        .local = endpoint_of(l->local),
        .peer = endpoint_of(l->peer),
        .local_selectors = &ends[index][0],
        .local_count = 1,
        .remote_selectors = &ends[index][1],
        .remote_count = 1,
    };

    if (!dataplane_reserve_exact(dp, sa.spi_in) || !dataplane_install(dp, &sa)) {
        fail(l->name, "the data plane does not take it");
    }
}

static void install_all(struct dataplane *dp, size_t count)
{
    size_t policy_count = 0;

    for (size_t i = 0; i < count; i++) {
        ends[i][0] = selector_of(lines[i].local_network);
        ends[i][1] = selector_of(lines[i].remote_network);
        if (is_around(i)) {
            continue;
        }
        policies[policy_count++] = (struct policy){.id = (uint32_t)i + 1,
                                                   .verdict = POLICY_PROTECT,
                                                   .local = &ends[i][0],
                                                   .local_count = 1,
                                                   .remote = &ends[i][1],
                                                   .remote_count = 1};
    }
    if (!dataplane_set_policies(dp, policies, policy_count)) {
        fail("policies", "the data plane does not take them");
    }
    for (size_t i = 0; i < count; i++) {
        install(dp, i, count);
    }
    for (size_t i = 0; i < count; i++) {
        if (!is_around(i)) {
            dataplane_use(dp, lines[i].spi_in);
        }
    }
}

static void wake_ready(void *context, unsigned events)
{
    (void)events;
    wake_clear(context);
}

static void signals_ready(void *context, unsigned events)
{
    (void)context;
    (void)events;
    ended = true;
}

static void open_device(struct tun *tun, const char *name)
{
    struct netlink netlink;
    char why[200];

    if (!netlink_open(&netlink, why, sizeof(why)) ||
        !tun_open(tun, name, false, true, why, sizeof(why)) ||
        !netlink_link_up(&netlink, tun->interface_index, TUN_MTU, why, sizeof(why))) {
        fail(name, why);
    }
    netlink_close(&netlink);
}

static void carry(struct dataplane *dp, struct worker *worker, struct loop *loop)
{
    while (!ended) {
        struct dataplane_note note;
        struct datagram datagram;

        (void)loop_turn(loop, 200);
        while (dataplane_next_note(dp, &note)) {
        }
        while (worker_peek_datagram(worker, &datagram)) {
            worker_drop_datagram(worker);
        }
        dataplane_collect(dp);
    }
}

static void tell_doors(const struct dataplane *dp)
{
    struct dataplane_doors doors;

    dataplane_get_doors(dp, &doors);
    for (int reason = 1; reason < DROP_REASON_COUNT; reason++) {
        if (doors.dropped[reason] > 0) {
            printf("dropped %s %llu\n", drop_name((enum drop_reason)reason),
                   (unsigned long long)doors.dropped[reason]);
        }
    }
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static const int numbers[] = {SIGTERM, SIGINT};
    static struct sockets sockets;
    static struct config config = {.port = 500, .nat_port = 4500};
    static struct log_sink silent;
    static struct offloads offloads;
    struct random_source random = entropy_source();
    struct loop loop;
    struct wake wake;
    struct signals signals;
    struct tun tun;
    char why[200];

    if (argc != 3) {
        fprintf(stderr, "usage: plane_probe LIST DEVICE\n");
        return 2;
    }
    size_t count = read_list(argv[1]);
    if (count > 0 && is_around(0)) {
        fail(argv[1], "nothing stands before the first line");
    }
    struct dataplane_settings settings = {.random = &random};
    struct dataplane *dp = protect_start(PROTECT_AUTOMATIC) ? dataplane_new(&settings) : NULL;
    if (dp == NULL || !loop_init(&loop) || !wake_init(&wake, wake_ready, &wake) ||
        !signals_init(&signals, numbers, ARRAY_LENGTH(numbers), signals_ready, NULL) ||
        !loop_add(&loop, &wake.source, LOOP_READ) || !loop_add(&loop, &signals.source, LOOP_READ)) {
        fail("plane_probe", "no memory");
    }
    install_all(dp, count);
    open_device(&tun, argv[2]);
    if (!sockets_open(&sockets, &config, true, &silent, why, sizeof(why))) {
        fail("sockets", why);
    }
    for (int part = 0; part < OFFLOAD_PARTS; part++) {
        offloads_set(&offloads, (enum offload_part)part, OFFLOAD_IN_USE);
    }
    struct worker_settings work = {.dataplane = dp,
                                   .reads = WORKER_READS_BOTH,
                                   .sockets = &sockets,
                                   .reads_shared = true,
                                   .tun = &tun,
                                   .queues = &tun,
                                   .queue_count = 1,
                                   .offloads = &offloads,
                                   .control = &wake};
    struct worker *worker = worker_new(&work);
    if (worker == NULL) {
        fail("plane_probe", "no thread");
    }
    printf("ready\n");
    fflush(stdout);
    carry(dp, worker, &loop);
    worker_free(worker);
    tell_doors(dp);
    sockets_close(&sockets);
    tun_close(&tun);
    dataplane_free(dp);
    return 0;
}
