/*
 * One allocation cut into equal objects; the free ones are a list through their own first bytes.
 */
#include "base/pool.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define ALIGNMENT 64

struct free_object {
    struct free_object *next;
};

bool pool_init(struct pool *p, size_t object_bytes, size_t capacity)
{
    *p = (struct pool){0};
    if (object_bytes == 0 || capacity == 0 || object_bytes > SIZE_MAX / 2) {
        return false;
    }
    size_t rounded = (object_bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;

    if (capacity > SIZE_MAX / rounded) {
        return false;
    }
    uint8_t *objects = aligned_alloc(ALIGNMENT, rounded * capacity);

    if (objects == NULL) {
        return false;
    }
    *p = (struct pool){.objects = objects, .object_bytes = rounded, .capacity = capacity};
    for (size_t i = capacity; i > 0; i--) {
        struct free_object *object = (struct free_object *)(void *)(objects + (i - 1) * rounded);

        object->next = p->free_list;
        p->free_list = object;
    }
    return true;
}

void pool_fini(struct pool *p)
{
    free(p->objects);
    *p = (struct pool){0};
}

void *pool_take(struct pool *p)
{
    struct free_object *object = p->free_list;

    if (object == NULL) {
        return NULL;
    }
    p->free_list = object->next;
    p->in_use++;
    memset(object, 0, p->object_bytes);
    return object;
}

void pool_give(struct pool *p, void *object)
{
    if (object == NULL) {
        return;
    }
    size_t offset = (size_t)((uint8_t *)object - p->objects);

    assert((uint8_t *)object >= p->objects);
    assert(offset < p->object_bytes * p->capacity);
    assert(offset % p->object_bytes == 0);
    assert(p->in_use > 0);
    struct free_object *given = object;

    given->next = p->free_list;
    p->free_list = given;
    p->in_use--;
}
