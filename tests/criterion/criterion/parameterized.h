/* SPDX-License-Identifier: MIT */
#pragma once

#include "criterion.h"

#define ParameterizedTestParameters(of_suite, of_name) \
    static struct criterion_test_params of_suite##_##of_name##_parameters(void)

#define cr_make_param_array(type, array, count, ...) \
    ((struct criterion_test_params){ .size = sizeof(type), .params = (array), .length = (count) })

#define ParameterizedTest(parameter, of_suite, of_name, ...)                                   \
    static void of_suite##_##of_name##_test(parameter);                                        \
    static void of_suite##_##of_name##_run(void *row) {                                        \
        of_suite##_##of_name##_test(row);                                                      \
    }                                                                                          \
    CRITERION_ADD(of_suite##_##of_name, .suite = #of_suite, .name = #of_name,                  \
                  .run_with = of_suite##_##of_name##_run,                                      \
                  .parameters = of_suite##_##of_name##_parameters, .options = { __VA_ARGS__ }) \
    static void of_suite##_##of_name##_test(parameter)
