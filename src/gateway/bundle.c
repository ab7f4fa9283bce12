/* Decides how SAs that go around each other are shown as one. */
#include "gateway/inside.h"

void bundle_title(const struct suite *around, const struct suite *inside, struct status_child *out)
{
    struct text text = text_over(out->suite, sizeof(out->suite));
    char title[STATUS_SUITE_BYTES];

    if (around != NULL) {
        suite_title(around, title, sizeof(title));
        text_addf(&text, "%s%s", title, inside != NULL ? " around " : "");
        out->legacy = out->legacy || status_is_legacy(around);
    }
    if (inside != NULL) {
        suite_title(inside, title, sizeof(title));
        text_add(&text, title);
        out->legacy = out->legacy || status_is_legacy(inside);
    }
}

/* The outer SA says what the path carries, the inner one what is left of it. */
void bundle_measure(const struct dataplane *dp, struct status_child *out)
{
    struct sa_overhead around;
    struct sa_counters outer;

    if (!dataplane_sa_counters(dp, out->spi_in, &out->counters)) {
        out->counters = (struct sa_counters){0};
    }
    if (!dataplane_sa_overhead(dp, out->spi_in, &out->overhead)) {
        out->overhead = (struct sa_overhead){0};
    }
    if (out->outer_spi_in != 0 && dataplane_sa_counters(dp, out->outer_spi_in, &outer) &&
        dataplane_sa_overhead(dp, out->outer_spi_in, &around)) {
        out->overhead.ah = around.ah;
        out->counters.outer_mtu = outer.outer_mtu;
        out->counters.overhead_bytes = (uint16_t)(outer.outer_mtu - out->counters.inner_mtu);
    }
}
