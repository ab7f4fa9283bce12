/* Any request gets an answer, and a wrong one says what is wrong. */
#include "management/management.h"

#include <jansson.h>
#include <stdlib.h>

#include "base/random.h"
#include "tests/support/test.h"

/* No gateway stands behind these: they are answered before anybody is asked. */
static json_t *ask(const char *request)
{
    const struct management management = {.gateway = NULL};
    char *text = management_answer(&management, slice_of_text(request), 1000);
    json_t *reply = text == NULL ? NULL : json_loads(text, 0, NULL);

    CHECK(json_is_object(reply));
    free(text);
    return reply;
}

static long long exit_of(const char *request)
{
    json_t *reply = ask(request);
    long long exit_code = json_integer_value(json_object_get(reply, "exit"));

    CHECK(json_string_value(json_object_get(reply, "error")) != NULL);
    json_decref(reply);
    return exit_code;
}

TEST(a_request_that_is_not_an_object_is_a_usage_error)
{
    CHECK_EQUAL(exit_of(""), 2);
    CHECK_EQUAL(exit_of("status"), 2);
    CHECK_EQUAL(exit_of("[]"), 2);
    CHECK_EQUAL(exit_of("{"), 2);
    CHECK_EQUAL(exit_of("{\"verb\":\"status\",\"verb\":\"up\"}"), 2);
}

TEST(a_request_without_a_verb_or_with_strange_words_is_a_usage_error)
{
    CHECK_EQUAL(exit_of("{}"), 2);
    CHECK_EQUAL(exit_of("{\"verb\":7}"), 2);
    CHECK_EQUAL(exit_of("{\"verb\":\"status\",\"words\":[1]}"), 2);
    CHECK_EQUAL(exit_of("{\"verb\":\"status\",\"words\":[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\","
                        "\"h\",\"i\"]}"),
                2);
}

TEST(an_unknown_verb_is_named_in_the_answer)
{
    json_t *reply = ask("{\"verb\":\"dance\"}");
    const char *error = json_string_value(json_object_get(reply, "error"));

    CHECK(error != NULL && strstr(error, "dance") != NULL);
    CHECK_EQUAL(json_integer_value(json_object_get(reply, "version")), 1);
    json_decref(reply);
}

TEST(random_bytes_are_answered_too)
{
    struct seeded_random seeded;
    uint8_t bytes[64];

    seeded_random_init(&seeded, 7);
    struct random_source random = seeded_random_source(&seeded);

    for (int turn = 0; turn < 2000; turn++) {
        const struct management management = {.gateway = NULL};
        size_t length = random_below(&random, sizeof(bytes));

        random_fill(&random, bytes, sizeof(bytes));
        char *text = management_answer(&management, (struct slice){bytes, length}, 1000);

        CHECK(text != NULL);
        free(text);
    }
}
