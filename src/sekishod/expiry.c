/* Decides which certificates are told of before they end, when, and in which words. */
#include "sekishod/expiry.h"

#include <stdio.h>
#include <string.h>

#define DAY_S (24 * 3600)

static const int steps_days[] = {30, 7, 1, 0};

/* The step that is reached; more than 30 days: -1. Later ones are smaller. */
static int step_of(int64_t left_s)
{
    int reached = -1;

    for (size_t i = 0; i < ARRAY_LENGTH(steps_days); i++) {
        if (left_s <= (int64_t)steps_days[i] * DAY_S) {
            reached = steps_days[i];
        }
    }
    return reached;
}

void expiry_begin(struct expiry *expiry)
{
    expiry->count = 0;
}

static void describe(struct expiry_entry *entry, const struct certificate *certificate,
                     const char *site, const char *role, const char *next, int64_t now_s)
{
    char subject[160];
    char when[40];
    struct text subject_text = text_over(subject, sizeof(subject));
    struct text when_text = text_over(when, sizeof(when));
    struct text sentence = text_over(entry->sentence, sizeof(entry->sentence));
    int64_t left_s = entry->ends_s - now_s;

    certificate_subject_words(certificate, &subject_text);
    certificate_time_words(entry->ends_s, &when_text);
    text_addf(&sentence, "%s %s (site %s) ", role, subject, site);
    if (left_s < 0) {
        text_addf(&sentence, "expired on %s", when);
    } else if (left_s < 2 * DAY_S) {
        text_addf(&sentence, "expires in %d hours, on %s", (int)(left_s / 3600), when);
    } else {
        text_addf(&sentence, "expires in %d days, on %s", (int)(left_s / DAY_S), when);
    }
    snprintf(entry->next, sizeof(entry->next), "%s", next);
}

static void add(struct expiry *expiry, const struct certificate *certificate, const char *site,
                const char *role, const char *next, int64_t now_s)
{
    struct expiry_entry entry = {.ends_s = certificate_ends_s(certificate)};
    size_t place = expiry->count;

    if (step_of(entry.ends_s - now_s) < 0) {
        return;
    }
    certificate_fingerprint(certificate, entry.fingerprint);
    for (size_t i = 0; i < expiry->count; i++) {
        if (memcmp(expiry->entries[i].fingerprint, entry.fingerprint, sizeof(entry.fingerprint)) ==
            0) {
            return; /* another site's too */
        }
    }
    while (place > 0 && expiry->entries[place - 1].ends_s > entry.ends_s) {
        place--;
    }
    if (place == EXPIRY_MAX) {
        return;
    }
    size_t behind = (expiry->count < EXPIRY_MAX ? expiry->count : EXPIRY_MAX - 1) - place;

    describe(&entry, certificate, site, role, next, now_s);
    memmove(&expiry->entries[place + 1], &expiry->entries[place], behind * sizeof(entry));
    expiry->entries[place] = entry;
    expiry->count += expiry->count < EXPIRY_MAX ? 1 : 0;
}

void expiry_add(struct expiry *expiry, const char *site, const struct credential *own,
                const struct trust *trust, int64_t now_s)
{
    for (size_t i = 0; i < credential_count(own); i++) {
        add(expiry, credential_at(own, i), site,
            i == 0 ? "our certificate" : "the certificate above ours,",
            i == 0 ? "renew it (sekisho ca renew NAME, or by your authority), then: sekisho reload"
                   : "get the new one from your authority, then: sekisho reload",
            now_s);
    }
    for (size_t i = 0; i < trust_count(trust); i++) {
        add(expiry, trust_at(trust, i), site, "the authority that is trusted,",
            "put its new certificate beside the old one into the file of 'trust', then: sekisho "
            "reload",
            now_s);
    }
}

static int told_before(const struct expiry *last, const struct expiry_entry *entry)
{
    for (size_t i = 0; i < last->count; i++) {
        if (memcmp(last->entries[i].fingerprint, entry->fingerprint, sizeof(entry->fingerprint)) ==
            0) {
            return last->entries[i].told_days;
        }
    }
    return steps_days[0] + 1;
}

void expiry_end(struct expiry *expiry, const struct expiry *last, struct log_sink *log,
                int64_t now_s)
{
    for (size_t i = 0; i < expiry->count; i++) {
        struct expiry_entry *entry = &expiry->entries[i];
        int step = step_of(entry->ends_s - now_s);

        entry->told_days = told_before(last, entry);
        if (step < entry->told_days) {
            entry->told_days = step;
            log_line(log, step <= 7 ? LOG_LEVEL_WARNING : LOG_LEVEL_NOTICE, "certificates",
                     "%s: %s", entry->sentence, entry->next);
        }
    }
}
