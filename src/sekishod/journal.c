/* Decides how a log line looks, where it goes, and how many of one kind are worth reading in a
 * second. */
#include "sekishod/journal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#define CAUSES 64
#define LINES_A_SECOND 10

/* Lines that differ only in numbers have one cause: a stranger who makes us say the same thing a
 * thousand times a second fills neither the disk nor the memory. */
struct cause {
    uint64_t hash;
    uint64_t second;
    unsigned said, kept_back;
};

struct journal {
    struct log_sink sink;
    enum log_level level;
    enum journal_place place;
    uint64_t (*date_ms)(void);
    uint64_t newest;
    struct cause causes[CAUSES];
    struct journal_line lines[JOURNAL_LINES];
};

static uint64_t hash_text(uint64_t hash, const char *text)
{
    for (; *text != '\0'; text++) {
        bool varies = (*text >= '0' && *text <= '9') || (*text >= 'a' && *text <= 'f') ||
                      *text == '.' || *text == ':';

        /* FNV-1a */
        if (!varies) {
            hash = (hash ^ (uint8_t)*text) * 0x100000001b3;
        }
    }
    return hash;
}

static void print_line(const struct journal *journal, const struct journal_line *line)
{
    static const int priorities[] = {LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG};

    if (journal->place == JOURNAL_SYSLOG) {
        syslog(priorities[line->level], "%s: %s", line->about, line->line);
        return;
    }
    if (journal->place == JOURNAL_SYSTEMD) {
        fprintf(stderr, "<%d>%s: %s\n", priorities[line->level], line->about, line->line);
        return;
    }
    time_t seconds = (time_t)(line->date_ms / 1000);
    struct tm parts = {0};
    char date[32] = "";

    (void)localtime_r(&seconds, &parts);
    (void)strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &parts);
    fprintf(stderr, "%s.%03u %-7s %s: %s\n", date, (unsigned)(line->date_ms % 1000),
            log_level_name(line->level), line->about, line->line);
}

static void keep_line(struct journal *journal, enum log_level level, const char *about,
                      const char *words)
{
    struct journal_line *line = &journal->lines[journal->newest % JOURNAL_LINES];

    journal->newest++;
    line->number = journal->newest;
    line->date_ms = journal->date_ms();
    line->level = level;
    snprintf(line->about, sizeof(line->about), "%s", about);
    snprintf(line->line, sizeof(line->line), "%s", words);
    print_line(journal, line);
}

/* False when enough was said about this cause in this second. */
static bool may_speak(struct journal *journal, const char *about, const char *line)
{
    uint64_t hash = hash_text(hash_text(0xcbf29ce484222325, about), line);
    struct cause *cause = &journal->causes[hash % CAUSES];
    uint64_t second = journal->date_ms() / 1000;

    if (cause->hash != hash || cause->second != second) {
        unsigned kept_back = cause->kept_back;

        *cause = (struct cause){.hash = hash, .second = second, .said = 1};
        if (kept_back > 0) {
            char words[64];

            snprintf(words, sizeof(words), "%u more lines like earlier ones were left out",
                     kept_back);
            keep_line(journal, LOG_LEVEL_NOTICE, "log", words);
        }
        return true;
    }
    if (cause->said == LINES_A_SECOND) {
        cause->kept_back++;
        return false;
    }
    cause->said++;
    return true;
}

static void write_line(void *context, enum log_level level, const char *about, const char *line)
{
    struct journal *journal = context;

    if (level <= journal->level && (level == LOG_LEVEL_DEBUG || may_speak(journal, about, line))) {
        keep_line(journal, level, about, line);
    }
}

struct journal *journal_new(enum log_level level, enum journal_place place,
                            uint64_t (*date_ms)(void))
{
    struct journal *journal = calloc(1, sizeof(*journal));

    if (journal != NULL) {
        journal->sink = (struct log_sink){write_line, journal};
        journal->level = level;
        journal->place = place;
        journal->date_ms = date_ms;
    }
    return journal;
}

void journal_free(struct journal *journal)
{
    free(journal);
}

struct log_sink *journal_sink(struct journal *journal)
{
    return &journal->sink;
}

void journal_move(struct journal *journal, enum journal_place place)
{
    if (place == JOURNAL_SYSLOG) {
        openlog("sekishod", LOG_PID | LOG_NDELAY, LOG_DAEMON);
    }
    journal->place = place;
}

uint64_t journal_newest(const struct journal *journal)
{
    return journal->newest;
}

const struct journal_line *journal_find(const struct journal *journal, uint64_t number)
{
    if (number == 0 || number > journal->newest || number + JOURNAL_LINES <= journal->newest) {
        return NULL;
    }
    return &journal->lines[(number - 1) % JOURNAL_LINES];
}

bool journal_level_parse(const char *word, enum log_level *out)
{
    for (int level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_DEBUG; level++) {
        if (strcmp(word, log_level_name((enum log_level)level)) == 0) {
            *out = (enum log_level)level;
            return true;
        }
    }
    return false;
}
