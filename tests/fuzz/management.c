/* Requests of any bytes: each gets an answer that is a JSON object, before anybody is asked. */
#include <jansson.h>
#include <stdlib.h>

#include "fuzz.h"
#include "management/management.h"

static bool would_ask_the_gateway(struct slice request)
{
    json_t *json =
        json_loadb((const char *)request.data, request.length, JSON_REJECT_DUPLICATES, NULL);
    bool has_verb = json_is_string(json_object_get(json, "verb"));

    json_decref(json);
    return has_verb;
}

FUZZ(management, 10000)
{
    const struct management management = {.gateway = NULL};
    struct slice request = {data, size};

    if (size > 0 && would_ask_the_gateway(request)) {
        return 0;
    }
    char *text = management_answer(&management, request, 1000);
    json_t *reply = text == NULL ? NULL : json_loads(text, 0, NULL);

    MUST(json_is_object(reply) && json_is_integer(json_object_get(reply, "exit")));
    json_decref(reply);
    free(text);
    return 0;
}
