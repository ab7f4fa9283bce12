/* Nothing is freed while somebody may read it, and everything is freed in the end. */
#include "dataplane/publish.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "tests/support/test.h"

struct thing {
    struct retired retired;
    uint64_t value;
    uint64_t check;
};

static size_t released;

static void thing_release(struct retired *object)
{
    struct thing *thing = CONTAINER_OF(object, struct thing, retired);

    thing->value = 0;
    thing->check = 0;
    released++;
    free(thing);
}

static struct thing *thing_new(uint64_t value)
{
    struct thing *thing = calloc(1, sizeof(*thing));

    thing->value = value;
    thing->check = ~value;
    return thing;
}

TEST(what_a_reader_may_hold_stays_until_it_is_outside)
{
    struct publish p;

    released = 0;
    publish_init(&p);
    publish_enter(&p, 3);
    publish_retire(&p, &thing_new(1)->retired, thing_release);
    publish_collect(&p);
    CHECK_EQUAL(released, 0);
    /* Going in again without having been outside renews nothing. */
    publish_enter(&p, 3);
    publish_collect(&p);
    CHECK_EQUAL(released, 0);
    publish_quiet(&p, 3);
    publish_collect(&p);
    CHECK_EQUAL(released, 1);
    publish_fini(&p);
}

TEST(a_reader_that_came_in_later_holds_up_nothing_older)
{
    struct publish p;

    released = 0;
    publish_init(&p);
    publish_enter(&p, 0);
    publish_retire(&p, &thing_new(1)->retired, thing_release);
    publish_enter(&p, 1);
    publish_retire(&p, &thing_new(2)->retired, thing_release);
    publish_quiet(&p, 0);
    publish_collect(&p);
    CHECK_EQUAL(released, 1);
    CHECK_EQUAL(p.waiting, 1);
    publish_quiet(&p, 1);
    publish_collect(&p);
    CHECK_EQUAL(released, 2);
    publish_fini(&p);
}

TEST(the_end_releases_what_is_left)
{
    struct publish p;

    released = 0;
    publish_init(&p);
    for (uint64_t i = 0; i < 10; i++) {
        publish_retire(&p, &thing_new(i)->retired, thing_release);
    }
    publish_fini(&p);
    CHECK_EQUAL(released, 10);
}

#define READERS 2
#define CHANGES 30000

struct scene {
    struct publish publish;
    _Atomic(struct thing *) current;
    _Atomic bool over;
    _Atomic uint64_t wrong;
    _Atomic uint32_t next_reader;
};

static void *read_all_the_time(void *context)
{
    struct scene *scene = context;
    uint32_t index = atomic_fetch_add(&scene->next_reader, 1);
    uint64_t last = 0;

    while (!atomic_load(&scene->over)) {
        publish_enter(&scene->publish, index);
        for (int i = 0; i < 4; i++) {
            const struct thing *thing = atomic_load(&scene->current);
            if (thing->check != ~thing->value || thing->value < last) {
                atomic_fetch_add(&scene->wrong, 1);
            }
            last = thing->value;
        }
        publish_quiet(&scene->publish, index);
    }
    return NULL;
}

TEST(under_threads_nothing_is_read_after_it_was_freed)
{
    static struct scene scene;
    pthread_t threads[READERS];

    released = 0;
    publish_init(&scene.publish);
    atomic_store(&scene.current, thing_new(0));
    for (size_t i = 0; i < READERS; i++) {
        CHECK_EQUAL(pthread_create(&threads[i], NULL, read_all_the_time, &scene), 0);
    }
    for (uint64_t value = 1; value <= CHANGES; value++) {
        struct thing *old = atomic_exchange(&scene.current, thing_new(value));
        publish_retire(&scene.publish, &old->retired, thing_release);
        publish_collect(&scene.publish);
        if (value % 64 == 0) {
            sched_yield();
        }
    }
    atomic_store(&scene.over, true);
    for (size_t i = 0; i < READERS; i++) {
        CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
    }
    CHECK_EQUAL(scene.wrong, 0);
    publish_collect(&scene.publish);
    CHECK_EQUAL(released, CHANGES);
    free(atomic_load(&scene.current));
    publish_fini(&scene.publish);
}
