/*
 * SPIs that were chosen elsewhere and find no place of their own among ours (manual keys): a sorted
 * list that is published as a whole. Ours are found by their index first, so who has no such SPIs
 * pays nothing for them.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/plane.h"

/* Where the SPI stands or would stand. */
static size_t exact_place(const struct exact_list *list, uint32_t spi)
{
    size_t from = 0;
    size_t to = list == NULL ? 0 : list->count;

    while (from < to) {
        size_t middle = from + (to - from) / 2;

        if (list->entries[middle].spi < spi) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from;
}

static struct exact_entry *exact_entry_of(const struct dataplane *dp, uint32_t spi)
{
    struct exact_list *list = atomic_load(&dp->exact);
    size_t place = exact_place(list, spi);

    return list != NULL && place < list->count && list->entries[place].spi == spi
               ? &list->entries[place]
               : NULL;
}

struct sa *exact_find(const struct dataplane *dp, uint32_t spi)
{
    struct exact_entry *entry = exact_entry_of(dp, spi);

    return entry == NULL ? NULL : atomic_load(&entry->sa);
}

bool exact_is_reserved(const struct dataplane *dp, uint32_t spi)
{
    return exact_entry_of(dp, spi) != NULL;
}

static void exact_release(struct retired *object)
{
    free(CONTAINER_OF(object, struct exact_list, retired));
}

static void exact_publish(struct dataplane *dp, struct exact_list *list)
{
    struct exact_list *old = atomic_exchange(&dp->exact, list);

    if (old != NULL) {
        publish_retire(&dp->publish, &old->retired, exact_release);
    }
}

static void entry_copy(struct exact_entry *to, struct exact_entry *from)
{
    to->spi = from->spi;
    atomic_store(&to->sa, atomic_load(&from->sa));
}

/* The first entries of an old list, `count` of them if there are so many. */
static struct exact_list *exact_copy(struct exact_list *old, size_t count)
{
    struct exact_list *list =
        calloc(1, sizeof(*list) + (count > 0 ? count : 1) * sizeof(list->entries[0]));

    if (list != NULL) {
        list->count = count;
    }
    for (size_t i = 0; list != NULL && old != NULL && i < count && i < old->count; i++) {
        entry_copy(&list->entries[i], &old->entries[i]);
    }
    return list;
}

bool exact_reserve(struct dataplane *dp, uint32_t spi)
{
    struct exact_list *old = atomic_load(&dp->exact);
    size_t count = old == NULL ? 0 : old->count;
    size_t place = exact_place(old, spi);

    assert(exact_entry_of(dp, spi) == NULL);
    if (count == dp->sa_max) {
        return false;
    }
    struct exact_list *list = exact_copy(old, count + 1);
    if (list == NULL) {
        return false;
    }
    for (size_t i = count; i > place; i--) {
        entry_copy(&list->entries[i], &list->entries[i - 1]);
    }
    list->entries[place].spi = spi;
    atomic_store(&list->entries[place].sa, NULL);
    exact_publish(dp, list);
    return true;
}

void exact_set(struct dataplane *dp, uint32_t spi, struct sa *sa)
{
    struct exact_entry *entry = exact_entry_of(dp, spi);

    assert(entry != NULL);
    atomic_store(&entry->sa, sa);
}

void exact_remove(struct dataplane *dp, uint32_t spi)
{
    struct exact_list *old = atomic_load(&dp->exact);
    size_t place = exact_place(old, spi);

    assert(exact_entry_of(dp, spi) != NULL);
    struct exact_list *list = exact_copy(old, old->count);
    if (list == NULL) {
        /* Without memory for a shorter list the SPI stays reserved. */
        exact_set(dp, spi, NULL);
        return;
    }
    list->count--;
    for (size_t i = place; i < list->count; i++) {
        entry_copy(&list->entries[i], &list->entries[i + 1]);
    }
    exact_publish(dp, list);
}
