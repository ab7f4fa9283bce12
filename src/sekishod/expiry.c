/* Decides which certificates are told of before they end, when, and in which words. */
#include "sekishod/expiry.h"

#include <stdio.h>
#include <string.h>

#define DAY_S (24 * 3600)

static const int steps_days[] = {30, 7, 1, 0};

/* The step that is reached; none yet: -1. Later ones are smaller. Of one that is good for a short
 * time nobody hears before a third of it is left: what renews by itself has done so by then
 * (loader/issued). */
static int step_of(int64_t left_s, int64_t lasts_s)
{
    int reached = -1;

    for (size_t i = 0; left_s <= lasts_s / 3 && i < ARRAY_LENGTH(steps_days); i++) {
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

static void add_when(struct text *sentence, int64_t ends_s, int64_t now_s)
{
    char when[40];
    struct text when_text = text_over(when, sizeof(when));
    int64_t left_s = ends_s - now_s;

    certificate_time_words(ends_s, &when_text);
    if (left_s < 0) {
        text_addf(sentence, "expired on %s", when);
    } else if (left_s < 2 * DAY_S) {
        text_addf(sentence, "expires in %d hours, on %s", (int)(left_s / 3600), when);
    } else {
        text_addf(sentence, "expires in %d days, on %s", (int)(left_s / DAY_S), when);
    }
}

static void describe(struct expiry_entry *entry, const struct certificate *certificate,
                     const char *site, const char *role, const char *next, int64_t now_s)
{
    char subject[160];
    struct text subject_text = text_over(subject, sizeof(subject));
    struct text sentence = text_over(entry->sentence, sizeof(entry->sentence));

    certificate_subject_words(certificate, &subject_text);
    text_addf(&sentence, "%s %s (site %s) ", role, subject, site);
    add_when(&sentence, entry->ends_s, now_s);
    snprintf(entry->next, sizeof(entry->next), "%s", next);
}

/* In its place, the soonest first; when there are too many the latest goes. */
static void insert(struct expiry *expiry, const struct expiry_entry *entry)
{
    size_t place = expiry->count;

    while (place > 0 && expiry->entries[place - 1].ends_s > entry->ends_s) {
        place--;
    }
    if (place == EXPIRY_MAX) {
        return;
    }
    size_t behind = (expiry->count < EXPIRY_MAX ? expiry->count : EXPIRY_MAX - 1) - place;

    memmove(&expiry->entries[place + 1], &expiry->entries[place], behind * sizeof(*entry));
    expiry->entries[place] = *entry;
    expiry->count += expiry->count < EXPIRY_MAX ? 1 : 0;
}

/* Whether it ends soon. */
static bool add(struct expiry *expiry, const struct certificate *certificate, const char *site,
                const char *role, const char *next, int64_t now_s)
{
    struct expiry_entry entry = {.ends_s = certificate_ends_s(certificate)};

    entry.lasts_s = entry.ends_s - certificate_begins_s(certificate);
    if (step_of(entry.ends_s - now_s, entry.lasts_s) < 0) {
        return false;
    }
    certificate_fingerprint(certificate, entry.fingerprint);
    for (size_t i = 0; i < expiry->count; i++) {
        if (memcmp(expiry->entries[i].fingerprint, entry.fingerprint, sizeof(entry.fingerprint)) ==
            0) {
            return true; /* another site's too */
        }
    }
    describe(&entry, certificate, site, role, next, now_s);
    insert(expiry, &entry);
    return true;
}

bool expiry_add(struct expiry *expiry, const char *site, const struct credential *own,
                const struct trust *trust, int64_t now_s)
{
    bool soon = false;

    for (size_t i = 0; i < credential_count(own); i++) {
        soon |= add(expiry, credential_at(own, i), site,
                    i == 0 ? "our certificate" : "the certificate above ours,",
                    i == 0 ? "renew it (sekisho ca renew NAME, or by your authority), then: "
                             "sekisho apply"
                           : "get the new one from your authority, then: sekisho apply",
                    now_s);
    }
    for (size_t i = 0; i < trust_count(trust); i++) {
        soon |= add(expiry, trust_at(trust, i), site, "the authority that is trusted,",
                    "put its new certificate beside the old one into the file of 'trust', then: "
                    "sekisho apply",
                    now_s);
    }
    return soon;
}

static void forget_issued(struct expiry *expiry, const struct issued *record)
{
    size_t kept = 0;

    for (size_t i = 0; i < expiry->count; i++) {
        const char *name = expiry->entries[i].issued_for;

        if (name[0] == '\0' || !issued_is_for(record, name, strlen(name))) {
            expiry->entries[kept++] = expiry->entries[i];
        }
    }
    expiry->count = kept;
}

void expiry_add_issued(struct expiry *expiry, const struct issued *record, int64_t now_s)
{
    struct expiry_entry entry = {.ends_s = record->ends_s,
                                 .lasts_s = record->ends_s - record->begins_s};
    struct text sentence = text_over(entry.sentence, sizeof(entry.sentence));
    size_t length = 0;

    if (record->revoked_s != 0) {
        return;
    }
    forget_issued(expiry, record);
    /* Over for a month: whoever wanted it again would have said so. */
    if (step_of(entry.ends_s - now_s, entry.lasts_s) < 0 ||
        entry.ends_s + (int64_t)steps_days[0] * DAY_S < now_s ||
        issued_name_bytes(record) >= sizeof(entry.issued_for) ||
        !hex_parse(slice_of_text(record->serial), entry.fingerprint, sizeof(entry.fingerprint),
                   &length)) {
        return;
    }
    memcpy(entry.issued_for, record->names, issued_name_bytes(record));
    text_addf(&sentence, "the certificate of %s, which this machine issued, ", entry.issued_for);
    add_when(&sentence, entry.ends_s, now_s);
    snprintf(entry.next, sizeof(entry.next),
             "sekisho ca renew %.40s -o FILE.pem; bring it there, and there: sekisho ca install "
             "FILE.pem; sekisho apply",
             entry.issued_for);
    insert(expiry, &entry);
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
        int step = step_of(entry->ends_s - now_s, entry->lasts_s);

        entry->told_days = told_before(last, entry);
        if (step < entry->told_days) {
            entry->told_days = step;
            log_line(log, step <= 7 ? LOG_LEVEL_WARNING : LOG_LEVEL_NOTICE, "certificates",
                     "%s: %s", entry->sentence, entry->next);
        }
    }
}
