/* People as JSON: who is in, how full the pools are, and what was given to us who are a client. */
#include <jansson.h>

#include "gateway/status.h"
#include "management/answers.h"

#define SESSIONS_A_PAGE 500

static json_t *count_of(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *seconds_between(uint64_t from_ms, uint64_t to_ms)
{
    return count_of(to_ms > from_ms ? (to_ms - from_ms) / 1000 : 0);
}

/* null: never. */
static json_t *seconds_ago(uint64_t at_ms, uint64_t now_ms)
{
    return at_ms == 0 ? json_null() : seconds_between(at_ms, now_ms);
}

static json_t *address_of(const struct address *a)
{
    char text[ADDRESS_TEXT_BYTES];

    return json_string(a->family == FAMILY_NONE ? "" : address_format(a, text));
}

struct page {
    json_t *sessions;
    uint64_t now_ms;
    uint64_t last; /* number of the last one in it */
};

static void add_session(void *context, const struct status_session *s)
{
    struct page *page = context;
    json_t *object = json_object();
    char outer[ENDPOINT_TEXT_BYTES];

    json_object_set_new(object, "name", json_string(s->name));
    json_object_set_new(object, "user", json_string(s->user));
    json_object_set_new(object, "via", json_string("xauth"));
    json_object_set_new(object, "access", json_string(s->block));
    json_object_set_new(object, "group", json_string(s->group));
    json_object_set_new(object, "address", address_of(&s->address));
    json_object_set_new(object, "outer", json_string(endpoint_format(&s->outer, outer)));
    json_object_set_new(object, "up", json_boolean(s->up));
    json_object_set_new(object, "since_s", seconds_between(s->since_ms, page->now_ms));
    json_object_set_new(object, "last_in_s", seconds_ago(s->last_in_ms, page->now_ms));
    json_object_set_new(object, "last_out_s", seconds_ago(s->last_out_ms, page->now_ms));
    json_object_set_new(object, "ends_in_s",
                        s->until_ms == NEVER_MS ? json_null()
                                                : seconds_between(page->now_ms, s->until_ms));
    json_object_set_new(object, "known_by", json_string(s->source));
    json_object_set_new(object, "looks_like", json_string(s->persona));
    json_object_set_new(object, "in_bytes", count_of(s->in_bytes));
    json_object_set_new(object, "out_bytes", count_of(s->out_bytes));
    json_object_set_new(object, "in_packets", count_of(s->in_packets));
    json_object_set_new(object, "out_packets", count_of(s->out_packets));
    json_array_append_new(page->sessions, object);
    page->last = s->number;
}

static struct page page_of(const struct question *question, uint64_t after)
{
    struct page page = {.sessions = json_array(), .now_ms = question->now_ms};

    gateway_each_session(question->management->gateway, after, SESSIONS_A_PAGE, add_session, &page);
    return page;
}

json_t *people_sessions(const struct question *question)
{
    return page_of(question, 0).sessions;
}

json_t *people_pools(const struct question *question)
{
    json_t *pools = json_array();
    struct status_pool pool;

    for (size_t i = 0; gateway_pool_at(question->management->gateway, i, &pool); i++) {
        json_array_append_new(
            pools,
            json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "name", pool.name, "total",
                      (json_int_t)pool.total, "held", (json_int_t)pool.held, "remembered",
                      (json_int_t)pool.remembered, "fixed", (json_int_t)pool.fixed, "sessions",
                      (json_int_t)pool.sessions, "logins_accepted", (json_int_t)pool.accepted,
                      "logins_refused", (json_int_t)pool.refused));
    }
    return pools;
}

json_t *people_given(const struct question *question, const char *site)
{
    struct status_given given;
    json_t *dns = json_array();

    if (!gateway_given(question->management->gateway, site, &given)) {
        json_decref(dns);
        return json_null();
    }
    for (size_t i = 0; i < given.dns_count; i++) {
        json_array_append_new(dns, address_of(&given.dns[i]));
    }
    return json_pack("{s:o, s:o, s:s, s:s}", "address", address_of(&given.address), "dns", dns,
                     "domain", given.domain, "banner", given.banner);
}

/* Sessions begun after number `after`, a page of them. */
json_t *answer_sessions(const struct question *question)
{
    struct page page = page_of(question, question->after);
    bool more = json_array_size(page.sessions) == SESSIONS_A_PAGE;

    return reply_answer(REPLY_OK, json_pack("{s:o, s:o}", "sessions", page.sessions, "next",
                                            more ? count_of(page.last) : json_null()));
}

json_t *answer_pools(const struct question *question)
{
    return reply_answer(REPLY_OK, json_pack("{s:o}", "pools", people_pools(question)));
}
