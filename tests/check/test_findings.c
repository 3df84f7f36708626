/* SPDX-License-Identifier: MIT */
#include "check/findings.h"

#include <cjson/cJSON.h>
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* What was written, and where to. */
struct page {
    char *text;
    size_t size;
    struct findings_style style;
    struct findings *findings;
};

static void begin(struct page *page, struct findings_style style) {
    *page = (struct page){ .style = style };
    page->style.out = open_memstream(&page->text, &page->size);
    cr_assert_eq(findings_new(&page->style, &page->findings), 0);
}

static const char *end(struct page *page) {
    cr_assert_eq(findings_conclude(page->findings), 0);
    return page->text;
}

static void drop(struct page *page) {
    page->findings = findings_free(page->findings);
    (void)fclose(page->style.out);
    free(page->text);
}

Test(findings, stand_in_columns_with_the_cure_below) {
    struct page page;

    begin(&page, (struct findings_style){ 0 });
    findings_add(page.findings, "configuration", VERDICT_OK, CAUSE_NONE, "%d sensors", 2);
    findings_add(page.findings, "kitchen", VERDICT_ERROR, CAUSE_DEVICE_BUSY, "held by %s",
                 "minicom");
    findings_cure(page.findings, "end %s", "it");
    cr_assert_str_eq(end(&page), "configuration  ok       2 sensors\n"
                                 "kitchen        error    held by minicom\n"
                                 "                        end it\n");
    drop(&page);
}

Test(findings, make_room_for_long_names_that_follow) {
    struct page page;

    begin(&page, (struct findings_style){ 0 });
    findings_expect(page.findings, "broker.lan.example");
    findings_add(page.findings, "clock", VERDICT_WARNING, CAUSE_CLOCK_WRONG, "late");
    cr_assert_str_eq(end(&page), "clock               warning  late\n");
    drop(&page);
}

Test(findings, break_at_blanks_where_the_terminal_ends) {
    struct page page;

    begin(&page, (struct findings_style){ .columns = 36 });
    findings_add(page.findings, "clock", VERDICT_OK, CAUSE_NONE, "one two three-quarters four");
    cr_assert_str_eq(end(&page), "clock          ok       one two\n"
                                 "                        three-quarters\n"
                                 "                        four\n");
    drop(&page);
}

Test(findings, are_plain_unless_colour_is_wanted) {
    struct page plain;
    struct page coloured;

    begin(&plain, (struct findings_style){ 0 });
    begin(&coloured, (struct findings_style){ .has_colour = true });
    findings_add(plain.findings, "clock", VERDICT_ERROR, CAUSE_NONE, "wrong");
    findings_add(coloured.findings, "clock", VERDICT_ERROR, CAUSE_NONE, "wrong");
    cr_assert_null(strchr(end(&plain), '\033'));
    cr_assert_not_null(strstr(end(&coloured), "\033[31merror  \033[0m  wrong"));
    drop(&plain);
    drop(&coloured);
}

Test(findings, are_as_bad_as_the_worst) {
    struct page page;

    begin(&page, (struct findings_style){ 0 });
    cr_assert_eq(findings_worst(page.findings), VERDICT_OK);
    findings_add(page.findings, "a", VERDICT_WARNING, CAUSE_NONE, "w");
    findings_add(page.findings, "b", VERDICT_HIDDEN, CAUSE_NONE, "h");
    findings_add(page.findings, "c", VERDICT_OK, CAUSE_NONE, "o");
    cr_assert_eq(findings_worst(page.findings), VERDICT_WARNING);
    drop(&page);
}

static const char *text_of(const cJSON *object, const char *name) {
    return cJSON_GetStringValue(cJSON_GetObjectItem(object, name));
}

Test(findings, are_one_object_as_json) {
    struct page page;
    cJSON *report;
    cJSON *links;

    begin(&page, (struct findings_style){ .as_json = true });
    findings_add(page.findings, "clock", VERDICT_OK, CAUSE_NONE, "right");
    findings_add(page.findings, "kitchen", VERDICT_ERROR, CAUSE_DEVICE_BUSY, "a \"quote\"");
    findings_cure(page.findings, "end it");
    report = cJSON_Parse(end(&page));
    links = cJSON_GetObjectItem(report, "links");
    cr_assert_str_eq(text_of(report, "verdict"), "error");
    cr_assert_eq(cJSON_GetArraySize(links), 2);
    cr_assert_str_eq(text_of(cJSON_GetArrayItem(links, 0), "cause"), "");
    cr_assert_str_eq(text_of(cJSON_GetArrayItem(links, 0), "cure"), "");
    cr_assert_str_eq(text_of(cJSON_GetArrayItem(links, 1), "link"), "kitchen");
    cr_assert_str_eq(text_of(cJSON_GetArrayItem(links, 1), "verdict"), "error");
    cr_assert_str_eq(text_of(cJSON_GetArrayItem(links, 1), "cause"), "device-busy");
    cr_assert_str_eq(text_of(cJSON_GetArrayItem(links, 1), "text"), "a \"quote\"");
    cr_assert_str_eq(text_of(cJSON_GetArrayItem(links, 1), "cure"), "end it");
    cJSON_Delete(report);
    drop(&page);
}

Test(findings, without_any_are_an_empty_list_as_json) {
    struct page page;
    cJSON *report;

    begin(&page, (struct findings_style){ .as_json = true });
    report = cJSON_Parse(end(&page));
    cr_assert_str_eq(text_of(report, "verdict"), "ok");
    cr_assert_eq(cJSON_GetArraySize(cJSON_GetObjectItem(report, "links")), 0);
    cJSON_Delete(report);
    drop(&page);
}
