/*
 * Packets that overtake the answer which makes their SA. Who answers has all keys before the one
 * who asked, and may send through the new SA at once (RFC 7296 1.2): its first packets come here
 * while the proof in its answer is still being looked at, or before the answer itself. They wait
 * for the SA, a few and not long; they are opened in the order in which they came and before what
 * comes after them.
 */
#include <string.h>

#include "dataplane/plane.h"

bool early_waits(struct dataplane_worker *worker, struct packet *packet, uint32_t spi,
                 uint64_t since_ms, uint64_t now_ms)
{
    size_t same = 0;

    if (!sad_is_awaited(worker->dp, spi)) {
        return false;
    }
    for (size_t i = 0; i < worker->early_count; i++) {
        same += worker->early[i].spi == spi;
    }
    if (now_ms >= since_ms + EARLY_MS || worker->early_count == EARLY_MAX ||
        same == EARLY_OF_SPI_MAX) {
        worker_drop(worker, packet, DROP_QUEUE_FULL);
        return true;
    }
    worker_own(worker, packet);
    worker->early[worker->early_count++] = (struct early){packet, spi, since_ms};
    return true;
}

size_t early_take(struct dataplane_worker *worker, struct early taken[EARLY_MAX])
{
    size_t count = worker->early_count;

    memcpy(taken, worker->early, count * sizeof(taken[0]));
    worker->early_count = 0;
    return count;
}
