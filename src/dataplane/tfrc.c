/* TCP-friendly rate control: the sender's half of RFC 5348. */
#include "dataplane/tfrc.h"

#include <assert.h>
#include <math.h>

#define SECOND_US 1000000.0
#define RTT_OLD_SHARE 0.9 /* RFC 5348 4.3: q */
#define FIRST_RATE 1.0 /* RFC 5348 4.2: one packet a second before anything is known */
#define FIRST_NO_FEEDBACK_US 2000000
#define FIRST_WINDOW_BYTES 4380 /* RFC 3390 */

double tfrc_equation(double rtt_seconds, double loss_event_rate)
{
    double p = loss_event_rate;

    return 1 / (rtt_seconds * (sqrt(2 * p / 3) + 12 * sqrt(3 * p / 8) * p * (1 + 32 * p * p)));
}

double tfrc_equation_inverse(double rtt_seconds, double rate)
{
    double low = 1e-9;
    double high = 1;

    /* The equation falls with p; the middle of the exponents is found in as many steps as a double
     * has bits. */
    for (int i = 0; i < 60; i++) {
        double middle = sqrt(low * high);

        if (tfrc_equation(rtt_seconds, middle) > rate) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return sqrt(low * high);
}

static double within(const struct tfrc *tfrc, double rate)
{
    if (rate < tfrc->rate_min) {
        return tfrc->rate_min;
    }
    return rate > tfrc->rate_max ? tfrc->rate_max : rate;
}

void tfrc_init(struct tfrc *tfrc, double rate_min, double rate_max, uint32_t packet_bytes,
               uint64_t now_us)
{
    assert(rate_min > 0);
    assert(rate_min <= rate_max);
    assert(packet_bytes > 0);
    *tfrc = (struct tfrc){
        .rate_min = rate_min,
        .rate_max = rate_max,
        .packet_bytes = packet_bytes,
        .updated_us = now_us,
        .no_feedback_us = now_us + FIRST_NO_FEEDBACK_US,
    };
    tfrc->rate = within(tfrc, FIRST_RATE);
}

/* RFC 5348 4.2: W_init, in packets. */
static double first_window(const struct tfrc *tfrc)
{
    double packets = (double)FIRST_WINDOW_BYTES / tfrc->packet_bytes;

    if (packets < 2) {
        return 2;
    }
    return packets > 4 ? 4 : packets;
}

static void smooth_rtt(struct tfrc *tfrc, uint32_t sample_us)
{
    /* In slow start most of what is measured is our own slowness, RFC 9347 3 takes at least the
     * time between packets of both ends: what is smaller now is nearer to the truth. */
    if (tfrc->rtt_us == 0 || (tfrc->loss_inverse == 0 && sample_us < tfrc->rtt_us)) {
        tfrc->rtt_us = sample_us;
        return;
    }
    double smoothed = RTT_OLD_SHARE * tfrc->rtt_us + (1 - RTT_OLD_SHARE) * sample_us;

    tfrc->rtt_us = smoothed < 1 ? 1 : (uint32_t)smoothed;
}

/* RFC 5348 4.3 step 4. The tunnel always sends as fast as it may, so X_recv is the rate itself
 * (RFC 9347 appendix B) and the limit twice that. */
static void update_rate(struct tfrc *tfrc, uint64_t now_us)
{
    double rtt_seconds = tfrc->rtt_us / SECOND_US;
    double limit = 2 * tfrc->rate;

    if (tfrc->loss_inverse > 0) {
        double fair = tfrc_equation(rtt_seconds, 1.0 / tfrc->loss_inverse);

        tfrc->rate = within(tfrc, fair < limit ? fair : limit);
    } else if (tfrc->doubled_us == 0 || now_us >= tfrc->doubled_us + tfrc->rtt_us) {
        double first = first_window(tfrc) / rtt_seconds;
        double doubled = tfrc->doubled_us == 0 ? first : limit;

        tfrc->rate = within(tfrc, doubled > first ? doubled : first);
        tfrc->doubled_us = now_us;
    }
}

static void expect_feedback(struct tfrc *tfrc, uint64_t now_us)
{
    double rounds_us = 4.0 * tfrc->rtt_us;
    double packets_us = 2 * SECOND_US / tfrc->rate;

    tfrc->no_feedback_us = now_us + (uint64_t)(rounds_us > packets_us ? rounds_us : packets_us);
}

void tfrc_feedback(struct tfrc *tfrc, uint32_t loss_inverse, uint32_t rtt_sample_us,
                   uint64_t now_us)
{
    assert(rtt_sample_us > 0);
    bool first = tfrc->rtt_us == 0;
    bool worse = loss_inverse > 0 && (tfrc->loss_inverse == 0 || loss_inverse < tfrc->loss_inverse);

    if (!first && !worse && now_us < tfrc->updated_us + tfrc->rtt_us) {
        /* Heard, but the rate changes once a round trip. */
        expect_feedback(tfrc, now_us);
        return;
    }
    smooth_rtt(tfrc, rtt_sample_us);
    tfrc->loss_inverse = loss_inverse;
    update_rate(tfrc, now_us);
    tfrc->updated_us = now_us;
    expect_feedback(tfrc, now_us);
}

/* RFC 5348 4.4; RFC 9347 2.4.2. */
bool tfrc_time(struct tfrc *tfrc, uint64_t now_us)
{
    if (now_us < tfrc->no_feedback_us) {
        return false;
    }
    tfrc->rate = within(tfrc, tfrc->rate / 2);
    expect_feedback(tfrc, now_us);
    return true;
}
