/*
 * What many IKE SAs, with one child each, cost one gateway: memory, `status`, rekeyings, a
 * configuration that is read again, the loss of all peers, the end.
 *
 *     many_sas [how many [child lifetime in minutes [seconds between questions of liveness]]]
 *
 * Gateways, data planes and management as the daemon has them, without its sockets; the callers are
 * there as well, so the process is twice as large as what is told of the hub until they vanish.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "host/entropy.h"
#include "management/management.h"
#include "tests/support/crowd.h"

#define MINUTE_MS 60000

static struct crowd crowd;
static struct random_source entropy;

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static size_t heap_bytes(void)
{
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

static size_t rss_kib(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    size_t total = 0, resident = 0;

    if (f == NULL || fscanf(f, "%zu %zu", &total, &resident) != 2) {
        resident = 0;
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    return resident * (size_t)sysconf(_SC_PAGESIZE) / 1024;
}

static struct status_gateway status(const struct crowd_node *n)
{
    struct status_gateway s;

    gateway_get_status(n->gateway, crowd.now_ms, &s);
    return s;
}

/* As the command asks: page after page. */
static void ask_status(void)
{
    const struct management management = {.gateway = crowd.hub.gateway};
    size_t answers = 0, bytes = 0;
    double longest = 0, began = now();
    size_t after = 0;
    bool more = true;

    while (more) {
        char request[128];
        double this_began = now();

        snprintf(request, sizeof(request),
                 "{\"verb\":\"status\",\"words\":[],\"options\":{\"after\":%zu}}", after);
        char *answer = management_answer(&management, slice_of_text(request), crowd.now_ms);
        const char *next = answer == NULL ? NULL : strstr(answer, "\"next\":");
        double took = now() - this_began;

        longest = took > longest ? took : longest;
        answers++;
        bytes += answer == NULL ? 0 : strlen(answer);
        size_t wanted = next == NULL ? 0 : strtoul(next + strlen("\"next\":"), NULL, 10);

        more = wanted > after;
        after = wanted;
        free(answer);
    }
    printf("status: %zu answers, %.1f MB, %.3f s, the longest holds the control thread %.1f ms\n",
           answers, (double)bytes / 1e6, now() - began, longest * 1e3);
}

static uint64_t rekeys(void)
{
    return status(&crowd.hub).child_rekeys;
}

/* All came up together: when are their children rekeyed? */
static void show_rekeys(size_t sites, unsigned minutes)
{
    uint64_t before = rekeys();
    uint64_t most = 0, sum = 0;
    double began = now();

    printf("rekeyings of children, a minute each:");
    for (unsigned minute = 0; minute < minutes; minute++) {
        crowd_run(&crowd, MINUTE_MS);
        uint64_t count = rekeys() - before;

        before += count;
        sum += count;
        most = count > most ? count : most;
        printf(" %llu", (unsigned long long)count);
    }
    printf("\n  %llu in all, at most %llu a minute (%.1f %% of all SAs); %.1f s of both sides\n",
           (unsigned long long)sum, (unsigned long long)most, 100 * (double)most / (double)sites,
           now() - began);
}

int main(int argc, char **argv)
{
    size_t sites = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000;
    unsigned minutes = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 60;
    unsigned liveness = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 300;
    char words[160];

    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    entropy = entropy_source();
    snprintf(
        words, sizeof(words),
        "ike aes128gcm16-prfsha256-x25519; esp aes128gcm16; lifetime child %um ike 24h; dpd %us",
        minutes, liveness);
    size_t empty = heap_bytes();
    double began = now();

    crowd_open(&crowd, sites, "cookie-threshold 1000000\nhalf-open-max 1000000", words, &entropy);
    size_t configured = heap_bytes();

    printf("%zu sites: configuration read and applied in %.2f s, %zu octets a site\n", sites,
           now() - began, (configured - empty) / sites);
    began = now();
    crowd_call(&crowd);
    for (size_t seconds = 0; seconds < 3600 && crowd_up(&crowd) < sites; seconds++) {
        crowd_run(&crowd, 1000);
    }
    printf("%zu IKE SAs up in %.1f s of both sides, %.1f s of their time\n", crowd_up(&crowd),
           now() - began, (double)(crowd.now_ms - 1000000) / 1000);
    ask_status();
    show_rekeys(sites, minutes);
    began = now();
    uint64_t sends = crowd.hub.sends;

    crowd_reload(&crowd);
    printf("configuration read again: %.2f s, %llu messages sent\n", now() - began,
           (unsigned long long)(crowd.hub.sends - sends));
    sends = crowd.hub.sends;
    began = now();
    crowd_run(&crowd, 10 * MINUTE_MS);
    printf("ten minutes: %llu messages of the hub, %.2f s of both sides\n",
           (unsigned long long)(crowd.hub.sends - sends), now() - began);
    crowd_vanish(&crowd);
    (void)malloc_trim(0);
    struct status_gateway s = status(&crowd.hub);

    printf("an IKE SA with its child: %zu octets, of them %zu in the data plane; RSS of the hub "
           "%zu KiB\n",
           (heap_bytes() - configured) / sites, s.dataplane_bytes / sites, rss_kib());
    sends = crowd.hub.sends;
    began = now();
    crowd_run(&crowd, 10 * MINUTE_MS);
    s = status(&crowd.hub);
    printf("all peers vanish: %llu messages in ten minutes, %.2f s, %zu IKE SAs left\n",
           (unsigned long long)(crowd.hub.sends - sends), now() - began, s.ike_sas);
    crowd_call(&crowd);
    for (size_t seconds = 0; seconds < 3600 && crowd_up(&crowd) < sites; seconds++) {
        crowd_run(&crowd, 1000);
    }
    sends = crowd.hub.sends;
    began = now();
    gateway_shutdown(crowd.hub.gateway, crowd.now_ms);
    crowd_hub_turn(&crowd);
    printf("the end: %.3f s, %llu messages\n", now() - began,
           (unsigned long long)(crowd.hub.sends - sends));
    crowd_close(&crowd);
    return 0;
}
