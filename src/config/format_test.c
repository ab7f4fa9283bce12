/* The well-written form: what it looks like, and that writing it again changes nothing. */
#include <stdlib.h>
#include <string.h>

#include "config/testbed.h"
#include "tests/support/test.h"

TEST(one_statement_a_line_aligned_with_its_neighbours_comments_kept)
{
    char *text = config_format(SLICE_TEXT("\n\n# head\n"
                                          "gateway   tokyo.example.jp # our name\n"
                                          "lan 10.1.0.0/16     # networks\n\n\n\n"
                                          "site osaka{peer a;network 10.2.0.0/16 \"x y\" # both\n\n"
                                          "# own line\n"
                                          "key @osaka;strict-identity;}  # end\n"
                                          "set x y\r\n"
                                          "site b {  # of b\n\n  peer c\n\n}\n\n"));

    CHECK_TEXT(text, "# head\n"
                     "gateway tokyo.example.jp  # our name\n"
                     "lan     10.1.0.0/16       # networks\n"
                     "\n"
                     "site osaka {\n"
                     "  peer    a\n"
                     "  network 10.2.0.0/16 \"x y\"  # both\n"
                     "\n"
                     "  # own line\n"
                     "  key @osaka\n"
                     "  strict-identity\n"
                     "}  # end\n"
                     "set x y\n"
                     "site b {  # of b\n"
                     "  peer c\n"
                     "}\n");
    char *again = config_format(slice_of_text(text));
    CHECK_TEXT(again, text);
    free(again);
    free(text);
}

TEST(words_are_not_changed)
{
    char *text = config_format(
        SLICE_TEXT("say \"a\\\"b;{}\" a#b $x @#67 \xe9\x96\xa2\xe6\x89\x80  # \xff\n"));

    CHECK_TEXT(text, "say \"a\\\"b;{}\" a#b $x @#67 \xe9\x96\xa2\xe6\x89\x80  # \xff\n");
    free(text);
}

TEST(text_with_mistakes_of_form_is_not_formatted)
{
    static const char *const bad[] = {"a {",  "}",        "{ }",  "a \"b",
                                      "a\"b", "a \"b\"c", "\x01", "a \\\n \"\\x\""};

    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        char *text = config_format(slice_of_text(bad[i]));
        CHECK(text == NULL);
        free(text);
    }
}

TEST(nothing_is_nothing)
{
    static const char *const empty[] = {"", "\n\n", ";;;", "  \t\r\n"};

    for (size_t i = 0; i < ARRAY_LENGTH(empty); i++) {
        char *text = config_format(slice_of_text(empty[i]));
        CHECK_TEXT(text, "");
        free(text);
    }
}

TEST(a_formatted_configuration_means_the_same)
{
    static const char source[] =
        GATEWAY "set n 10.9.0.0/16;site a{peer any;identity \"any\";network $n;key @a;only udp 53}"
                "site b { peer b; network 10.3.0.0/16 # x\n key @b;; } # y";
    char *text = config_format(slice_of_text(source));
    struct config *before = testbed_good(source);
    struct config *after = testbed_good(text);

    CHECK(before->hash == after->hash);
    config_free(before);
    config_free(after);
    free(text);
}
