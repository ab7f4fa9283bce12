/* One capture at a time: what the data plane copies goes as blocks of pcapng to the client that
 * asked, as fast as it reads. It ends when the client says anything more, goes away, or has as many
 * packets as it wanted. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/clock.h"
#include "sekishod/capture_file.h"
#include "sekishod/capture_keys.h"
#include "sekishod/daemon.h"

#define FRAME_BYTES (256u * 1024)
#define WAITING_BYTES                                                                              \
    (8u * 1024 * 1024) /* the client does not keep up: copies wait and get lost                    \
                        */
#define RECORDS_A_TURN 16384

struct capture {
    struct control_client *client;
    bool begun; /* the answer is on its way, blocks may follow */
    bool keys;
    uint64_t packets_max, packets; /* max 0: no end */
    struct capture_file file;
    struct writer frame;
    uint8_t bytes[FRAME_BYTES];
};

bool capture_begin(void *context, const struct management_capture *order, char *why,
                   size_t why_bytes)
{
    struct daemon *daemon = context;
    struct capture *c = NULL;

    if (daemon->capture != NULL || dataplane_tap_is_on(daemon->dataplane)) {
        snprintf(why, why_bytes, "another capture is going on: one at a time");
        return false;
    }
    c = calloc(1, sizeof(*c));
    if (c == NULL ||
        !dataplane_tap_begin(daemon->dataplane, order->policy_id,
                             (order->outer ? TAP_OUTER : 0u) | (order->inner ? TAP_INNER : 0u))) {
        free(c);
        snprintf(why, why_bytes, "no memory for a capture");
        return false;
    }
    c->client = daemon->asking;
    c->keys = order->keys;
    c->packets_max = order->packets_max;
    c->frame = writer_over(c->bytes, sizeof(c->bytes));
    uint64_t now_ms = clock_now_ms();
    uint64_t date_ms = clock_date_ms();
    capture_file_begin(&c->file, order->site, date_ms > now_ms ? date_ms - now_ms : 0, &c->frame);
    daemon->capture = c;
    log_line(daemon->log, LOG_LEVEL_NOTICE, order->site, "somebody captures its packets%s%s",
             order->inner ? ", in clear" : " as they are on the wire",
             order->keys ? ", and was given their keys" : "");
    return true;
}

static void send_text(struct capture *c, const char *text)
{
    (void)control_send(c->client, slice_of_text(text));
}

static bool flush(struct capture *c)
{
    bool ok = c->frame.length == 0 || control_send(c->client, writer_written(&c->frame));

    c->frame = writer_over(c->bytes, sizeof(c->bytes));
    return ok;
}

static void give_up(struct daemon *daemon, uint64_t lost)
{
    struct capture *c = daemon->capture;

    log_line(daemon->log, LOG_LEVEL_NOTICE, c->file.site,
             "the capture has ended: %llu packets, %llu lost", (unsigned long long)c->packets,
             (unsigned long long)lost);
    dataplane_tap_end(daemon->dataplane);
    wipe(c, sizeof(*c));
    free(c);
    daemon->capture = NULL;
}

static void finish(struct daemon *daemon)
{
    struct capture *c = daemon->capture;
    uint64_t lost = dataplane_tap_lost(daemon->dataplane);
    char text[160];

    snprintf(text, sizeof(text),
             "{\"exit\":0,\"answer\":{\"end\":true,\"packets\":%llu,\"lost\":%llu,\"version\":1}}",
             (unsigned long long)c->packets, (unsigned long long)lost);
    if (flush(c)) {
        send_text(c, text);
    }
    give_up(daemon, lost);
}

/* A line of the key file for an SA that was not seen before; what cannot be told is told too. */
static void send_keys(struct daemon *daemon, const struct tap_record *record)
{
    char line[CAPTURE_KEY_BYTES];
    char text[CAPTURE_KEY_BYTES + 64];

    if (!capture_keys_line(daemon->dataplane, record, line)) {
        snprintf(line, sizeof(line),
                 "# SPI 0x%08x: no keys were kept, or Wireshark has no name for an algorithm",
                 record->spi);
    }
    /* Nothing in it has to be escaped but the quotes. */
    struct text out = text_over(text, sizeof(text));
    text_add(&out, "{\"key\":\"");
    for (const char *at = line; *at != '\0'; at++) {
        text_addf(&out, "%s%c", *at == '"' ? "\\" : "", *at);
    }
    text_add(&out, "\"}");
    send_text(daemon->capture, text);
    wipe(line, sizeof(line));
    wipe(text, sizeof(text));
}

/* False when the client is gone. */
static bool add(struct daemon *daemon, const struct tap_record *record)
{
    struct capture *c = daemon->capture;

    bool is_new = capture_file_add(&c->file, record, &c->frame);
    c->packets++;
    if (is_new && c->keys && !record->inner && record->spi != 0) {
        send_keys(daemon, record);
    }
    return c->frame.capacity - c->frame.length >= CAPTURE_RECORD_BYTES || flush(c);
}

bool capture_run(struct daemon *daemon)
{
    struct capture *c = daemon->capture;
    struct tap_record record;
    size_t count = 0;
    bool alive = true;

    if (c == NULL || !c->begun) {
        return false;
    }
    while (alive && count < RECORDS_A_TURN && control_waiting(c->client) < WAITING_BYTES &&
           (c->packets_max == 0 || c->packets < c->packets_max) &&
           dataplane_tap_next(daemon->dataplane, &record)) {
        alive = add(daemon, &record);
        count++;
    }
    if (c->packets_max != 0 && c->packets >= c->packets_max) {
        finish(daemon);
        return false;
    }
    if (alive) {
        (void)flush(c);
    }
    return count == RECORDS_A_TURN;
}

void capture_answered(struct daemon *daemon)
{
    if (daemon->capture != NULL) {
        daemon->capture->begun = true;
    }
}

bool capture_is_of(const struct daemon *daemon, const struct control_client *client)
{
    return daemon->capture != NULL && daemon->capture->client == client;
}

void capture_stop(struct daemon *daemon)
{
    struct tap_record record;

    /* What was copied before the word came belongs to it. */
    while (control_waiting(daemon->capture->client) < 2 * WAITING_BYTES &&
           (daemon->capture->packets_max == 0 ||
            daemon->capture->packets < daemon->capture->packets_max) &&
           dataplane_tap_next(daemon->dataplane, &record) && add(daemon, &record)) {
    }
    finish(daemon);
}

void capture_client_gone(struct daemon *daemon)
{
    give_up(daemon, dataplane_tap_lost(daemon->dataplane));
}
