/* Suspicion about what the system joined. */
#include "sekishod/suspicion.h"
#include "tests/support/test.h"

static struct suspicion s;

static bool see(size_t times, size_t count, size_t joined, size_t forged, size_t delivered)
{
    bool given_up = false;

    for (size_t i = 0; i < times; i++) {
        given_up = suspicion_see(&s, count, joined, forged, delivered) || given_up;
    }
    return given_up;
}

TEST(joined_ones_that_all_fail_while_single_ones_pass_are_proof)
{
    s = (struct suspicion){0};
    CHECK(!see(3, 64, 64, 64, 0));
    CHECK(!see(20, 1, 0, 0, 1));
    CHECK(see(1, 64, 64, 64, 0));
}

TEST(without_single_ones_that_pass_nothing_is_proved)
{
    s = (struct suspicion){0};
    CHECK(!see(1000, 64, 64, 64, 0)); /* somebody sends garbage */
    CHECK(!see(1000, 1, 0, 1, 0)); /* singly too */
    CHECK(!see(1000, 1, 0, 0, 0)); /* IKE, keepalives */
}

TEST(one_joined_packet_that_passes_ends_all_suspicion)
{
    s = (struct suspicion){0};
    CHECK(!see(3, 64, 64, 64, 0));
    CHECK(!see(20, 1, 0, 0, 1));
    CHECK(!see(1, 64, 64, 63, 1));
    CHECK(!see(3, 64, 64, 64, 0));
    CHECK(!see(20, 1, 0, 0, 1));
    /* Mixed batches prove by their joined part only when more passed than came singly. */
    CHECK(!see(1, 64, 32, 31, 33));
    CHECK(!see(3, 64, 64, 64, 0));
    CHECK(!see(20, 1, 0, 0, 1));
    CHECK(!see(1, 64, 10, 20, 44));
    CHECK(see(1, 64, 64, 64, 0));
}
