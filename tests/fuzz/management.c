/*
 * Requests of any bytes to a gateway that has a site: each gets an answer that is a JSON object
 * with an exit code, and either an answer or an error.
 */
#include <jansson.h>
#include <stdlib.h>

#include "fuzz.h"
#include "management/management.h"
#include "tests/support/gateway_pair.h"

static struct gateway_pair pair;

static bool read_text(void *context, const char *path, struct slice *text, char *why,
                      size_t why_bytes)
{
    (void)context, (void)path, (void)why, (void)why_bytes;
    *text = slice_of_text(pair.nodes[0].config);
    return true;
}

static size_t match(void *context, const char *pattern, const char **paths, size_t capacity)
{
    (void)context, (void)pattern, (void)paths, (void)capacity;
    return 0;
}

static struct config_result *read_config(void *context)
{
    static const struct config_loader loader = {.read = read_text, .match = match};

    (void)context;
    return config_read("fuzz.conf", &loader);
}

static void apply(void *context, struct config *config, uint64_t now_ms)
{
    (void)context;
    gateway_configure(pair.nodes[0].gateway, config, now_ms);
}

static void certificates_changed(void *context, uint64_t now_ms)
{
    (void)context;
    (void)now_ms;
}

static void log_lines(void *context, uint64_t after, management_log_visit *visit,
                      void *visit_context)
{
    (void)context;
    if (after < 7) {
        visit(visit_context, 7, 1000, LOG_LEVEL_INFO, "osaka", "a line");
    }
}

static bool host_problem(void *context, size_t index, const char **sentence, const char **next)
{
    (void)context;
    *sentence = "the clock stands";
    *next = "wind it up";
    return index == 0;
}

static void host_offloads(void *context, struct management_offloads *out)
{
    (void)context;
    *out = (struct management_offloads){
        .words = "TUN TSO", .parts = {{"tun-tcp", true, ""}, {"udp-gro", false, "no"}}, .count = 2};
}

FUZZ(management, 8000)
{
    static bool ready;

    if (!ready) {
        ready = true;
        gateway_pair_open(&pair, 1);
        gateway_pair_start(&pair, 0);
        gateway_pair_start(&pair, 1);
        MUST(gateway_pair_up(&pair, 10000));
    }
    const struct management management = {
        .gateway = pair.nodes[0].gateway,
        .read_config = read_config,
        .apply = apply,
        .certificates_changed = certificates_changed,
        .log_lines = log_lines,
        .host_problem = host_problem,
        .host_offloads = host_offloads,
    };
    char *text = management_answer(&management, (struct slice){data, size}, pair.now_ms);
    json_t *reply = text == NULL ? NULL : json_loads(text, 0, NULL);

    MUST(json_is_object(reply) && json_is_integer(json_object_get(reply, "exit")));
    MUST(json_is_object(json_object_get(reply, "answer")) !=
         json_is_string(json_object_get(reply, "error")));
    json_decref(reply);
    free(text);
    /* What was ordered is done. */
    gateway_pair_run(&pair, 20);
    return 0;
}
