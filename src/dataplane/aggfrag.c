/* Settings of IP-TFS, and the way of news from the receiving to the sending side. */
#include "dataplane/aggfrag.h"

bool aggfrag_settings_are_good(const struct aggfrag_settings *settings)
{
    bool window = settings->reorder_window <= AGGFRAG_REORDER_MAX ||
                  settings->reorder_window == AGGFRAG_REORDER_OFF;
    bool rate = settings->rate_bits > 0 || settings->congestion_control;
    bool bounds = settings->rate_bits == 0 || settings->rate_bits_min <= settings->rate_bits;

    return window && rate && bounds;
}

static uint64_t pair(uint32_t high, uint32_t low)
{
    return (uint64_t)high << 32 | low;
}

void aggfrag_link_put(struct aggfrag_link *link, const struct aggfrag_news *news)
{
    uint64_t words[AGGFRAG_LINK_WORDS] = {
        news->arrived_us,
        news->tval_arrived_us,
        pair(news->loss_inverse, news->techo),
        pair(news->echo_delay_us, news->transmit_delay_us),
        pair(news->tval, news->lost_inverse),
    };
    uint64_t version = atomic_load_explicit(&link->version, memory_order_relaxed);

    atomic_store_explicit(&link->version, version + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    for (int i = 0; i < AGGFRAG_LINK_WORDS; i++) {
        atomic_store_explicit(&link->words[i], words[i], memory_order_relaxed);
    }
    atomic_store_explicit(&link->version, version + 2, memory_order_release);
}

bool aggfrag_link_take(struct aggfrag_link *link, uint64_t *seen, struct aggfrag_news *news)
{
    uint64_t words[AGGFRAG_LINK_WORDS];
    uint64_t version = atomic_load_explicit(&link->version, memory_order_acquire);

    if (version == *seen || version % 2 != 0) {
        return false;
    }
    for (int i = 0; i < AGGFRAG_LINK_WORDS; i++) {
        words[i] = atomic_load_explicit(&link->words[i], memory_order_relaxed);
    }
    atomic_thread_fence(memory_order_acquire);
    if (atomic_load_explicit(&link->version, memory_order_relaxed) != version) {
        return false;
    }
    *seen = version;
    *news = (struct aggfrag_news){
        .arrived_us = words[0],
        .tval_arrived_us = words[1],
        .loss_inverse = (uint32_t)(words[2] >> 32),
        .techo = (uint32_t)words[2],
        .echo_delay_us = (uint32_t)(words[3] >> 32),
        .transmit_delay_us = (uint32_t)words[3],
        .tval = (uint32_t)(words[4] >> 32),
        .lost_inverse = (uint32_t)words[4],
    };
    return true;
}
