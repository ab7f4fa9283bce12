/* `pools`, and what `status` says of people. */
#include <stdio.h>
#include <string.h>

#include "sekisho/command.h"

static const char *pool_words(const json_t *pool, char out[96])
{
    snprintf(out, 96, "%s %.0f of %.0f addresses", text_of(pool, "name"), number_of(pool, "held"),
             number_of(pool, "total"));
    return out;
}

/* The one who began last. */
static const json_t *latest_of(const json_t *sessions)
{
    size_t count = json_array_size(sessions);

    return count == 0 ? NULL : json_array_get(sessions, count - 1);
}

void show_people(const json_t *answer)
{
    const json_t *sessions = json_object_get(answer, "sessions");
    const json_t *pools = json_object_get(answer, "pools");
    const json_t *last = latest_of(sessions);
    double refused = 0;
    char words[96];
    char since[32];
    size_t index;
    json_t *pool;

    if (json_array_size(pools) == 0) {
        return;
    }
    printf("\nPEOPLE     %.0f online", number_of(json_object_get(answer, "gateway"), "sessions"));
    json_array_foreach(pools, index, pool)
    {
        refused += number_of(pool, "logins_refused");
        printf("%s%s", index == 0 ? "     " : ", ", pool_words(pool, words));
    }
    putchar('\n');
    if (last != NULL) {
        printf("last in    %s (%s, %s ago)\n", text_of(last, "name"),
               text_of(last, "looks_like")[0] != '\0' ? text_of(last, "looks_like") : "XAUTH",
               show_duration(number_of(last, "since_s"), since));
    }
    if (refused > 0) {
        printf("           logins refused since the start: %.0f\n", refused);
    }
}

void show_given(const json_t *site)
{
    const json_t *given = json_object_get(site, "given");
    size_t index;
    json_t *dns;

    if (!json_is_object(given)) {
        return;
    }
    printf("    %-10s%s, given by the peer\n", "address", text_of(given, "address"));
    json_array_foreach(json_object_get(given, "dns"), index, dns)
    {
        printf("%s%s", index == 0 ? "    DNS       " : " ", json_string_value(dns));
    }
    if (json_array_size(json_object_get(given, "dns")) > 0) {
        printf("%s%s\n", text_of(given, "domain")[0] != '\0' ? " for " : "",
               text_of(given, "domain"));
    }
    if (text_of(given, "banner")[0] != '\0') {
        printf("    %-10s%s\n", "banner", text_of(given, "banner"));
    }
}

int verb_pools(const struct command *command)
{
    int exit_code;
    json_t *reply = daemon_ask(command, -1, &exit_code);

    if (reply == NULL) {
        return exit_code;
    }
    const json_t *answer = json_object_get(reply, "answer");
    const json_t *pools = json_object_get(answer, "pools");
    size_t index;
    json_t *pool;

    if (command->json) {
        print_json(answer);
        json_decref(reply);
        return exit_code;
    }
    if (json_array_size(pools) == 0) {
        printf("no pools are configured: see sekisho help remote-access\n");
    } else {
        printf("%-16s %10s %10s %10s %10s %10s\n", "POOL", "ADDRESSES", "IN USE", "FREE",
               "REMEMBERED", "FIXED");
    }
    json_array_foreach(pools, index, pool)
    {
        printf("%-16s %10.0f %10.0f %10.0f %10.0f %10.0f\n", text_of(pool, "name"),
               number_of(pool, "total"), number_of(pool, "held"),
               number_of(pool, "total") > number_of(pool, "held")
                   ? number_of(pool, "total") - number_of(pool, "held")
                   : 0,
               number_of(pool, "remembered"), number_of(pool, "fixed"));
    }
    json_decref(reply);
    return exit_code;
}
