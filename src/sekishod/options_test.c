/* The command line and the journal. */
#include "tests/support/test.h"

#include "sekishod/journal.h"
#include "sekishod/options.h"

#include <fcntl.h>
#include <unistd.h>

static enum options_result read_words(struct options *options, const char *const *words, char *why)
{
    char *argv[16];
    int argc = 0;

    for (; words[argc] != NULL; argc++) {
        argv[argc] = (char *)(uintptr_t)words[argc];
    }
    return options_read(options, argc, argv, why, 128);
}

#define READ(options, ...)                                                                         \
    read_words(options, (const char *const[]){"sekishod", __VA_ARGS__, NULL}, why)

TEST(without_words_the_system_places_are_used)
{
    struct options o;
    char why[128];
    const char *const none[] = {"sekishod", NULL};

    CHECK_EQUAL(read_words(&o, none, why), OPTIONS_OK);
    CHECK_TEXT(o.config_path, "/etc/sekisho/sekisho.conf");
    CHECK_TEXT(o.secrets_directory, "/etc/sekisho/secrets");
    CHECK_TEXT(o.run_directory, "/run/sekisho");
    CHECK_TEXT(o.state_directory, "/var/lib/sekisho");
    CHECK(!o.foreground && !o.check_only && !o.openssl_only);
    CHECK_EQUAL(o.log_level, LOG_LEVEL_INFO);
}

TEST(secrets_stand_beside_a_named_configuration)
{
    struct options o;
    char why[128];

    CHECK_EQUAL(READ(&o, "-c", "/x/y.conf", "--foreground", "--check"), OPTIONS_OK);
    CHECK_TEXT(o.secrets_directory, "/x/secrets");
    CHECK(o.foreground && o.check_only);
    CHECK_EQUAL(READ(&o, "-c", "y.conf"), OPTIONS_OK);
    CHECK_TEXT(o.secrets_directory, "secrets");
}

TEST(wrong_words_are_named)
{
    struct options o;
    char why[128] = "";

    CHECK_EQUAL(READ(&o, "--fore"), OPTIONS_WRONG);
    CHECK_TEXT(why, "unknown option --fore");
    CHECK_EQUAL(READ(&o, "--run"), OPTIONS_WRONG);
    CHECK_TEXT(why, "--run needs a value");
    CHECK_EQUAL(READ(&o, "--log-level", "loud"), OPTIONS_WRONG);
    CHECK_EQUAL(READ(&o, "--crypto", "rot13"), OPTIONS_WRONG);
    CHECK_EQUAL(READ(&o, "--crypto", "openssl", "--log-level", "debug"), OPTIONS_OK);
    CHECK(o.openssl_only);
    CHECK(!o.no_offload);
    CHECK_EQUAL(READ(&o, "--offload", "maybe"), OPTIONS_WRONG);
    CHECK_TEXT(why, "--offload knows on and off, not maybe");
    CHECK_EQUAL(READ(&o, "--offload", "off"), OPTIONS_OK);
    CHECK(o.no_offload);
    CHECK_EQUAL(READ(&o, "--crypto", "openssl", "--log-level", "debug"), OPTIONS_OK);
    CHECK_EQUAL(o.log_level, LOG_LEVEL_DEBUG);
    CHECK_EQUAL(READ(&o, "--help"), OPTIONS_HELP);
    CHECK_EQUAL(READ(&o, "--version"), OPTIONS_VERSION);
}

static uint64_t date;
static int standard_error;

/* The journal prints; what cmocka prints must still be seen. */
static void be_quiet(void)
{
    int nothing = open("/dev/null", O_WRONLY);

    standard_error = dup(STDERR_FILENO);
    CHECK(nothing >= 0 && standard_error >= 0);
    CHECK(dup2(nothing, STDERR_FILENO) >= 0);
    (void)close(nothing);
}

static void be_heard(void)
{
    (void)dup2(standard_error, STDERR_FILENO);
    (void)close(standard_error);
}

static uint64_t get_date(void)
{
    return date;
}

TEST(the_last_thousand_lines_are_kept)
{
    struct journal *journal = journal_new(LOG_LEVEL_INFO, JOURNAL_TERMINAL, get_date);
    char letters[4] = "AAA";

    CHECK(journal != NULL);
    date = 1000;
    CHECK_EQUAL(journal_newest(journal), 0);
    CHECK(journal_find(journal, 0) == NULL);
    be_quiet();
    for (int i = 0; i < 1500; i++) {
        letters[0] = (char)('G' + i % 20);
        letters[1] = (char)('G' + i / 20 % 20);
        letters[2] = (char)('G' + i / 400);
        log_line(journal_sink(journal), LOG_LEVEL_INFO, "osaka", "%s", letters);
    }
    log_line(journal_sink(journal), LOG_LEVEL_DEBUG, "osaka", "not kept");
    be_heard();
    CHECK_EQUAL(journal_newest(journal), 1500);
    CHECK(journal_find(journal, 500) == NULL);
    CHECK(journal_find(journal, 1501) == NULL);
    CHECK_EQUAL(journal_find(journal, 501)->number, 501);
    CHECK_TEXT(journal_find(journal, 1500)->line, letters);
    CHECK_TEXT(journal_find(journal, 1500)->about, "osaka");
    journal_free(journal);
}

TEST(ten_lines_of_one_cause_a_second_are_enough)
{
    struct journal *journal = journal_new(LOG_LEVEL_INFO, JOURNAL_TERMINAL, get_date);

    CHECK(journal != NULL);
    date = 5000;
    be_quiet();
    for (int i = 0; i < 100; i++) {
        log_line(journal_sink(journal), LOG_LEVEL_INFO, "gate", "refused 192.0.2.%d:500", i);
    }
    uint64_t first_second = journal_newest(journal);
    log_line(journal_sink(journal), LOG_LEVEL_INFO, "gate", "another thing");
    uint64_t with_another = journal_newest(journal);
    date = 6000;
    log_line(journal_sink(journal), LOG_LEVEL_INFO, "gate", "refused 192.0.2.7:500");
    be_heard();
    CHECK_EQUAL(first_second, 10);
    CHECK_EQUAL(with_another, 11);
    CHECK_EQUAL(journal_newest(journal), 13);
    CHECK_TEXT(journal_find(journal, 12)->line, "90 more lines like earlier ones were left out");
    journal_free(journal);
}
