# SPDX-License-Identifier: Apache-2.0
# funnel_discover_cuda_tests(target filter)
# Registers those tests of a program that the filter names once more, with a CUDA device under test
# (tests/support/device_under_test.h): that of FUNNEL_TEST_RUNTIME.
function(funnel_discover_cuda_tests target filter)
  gtest_discover_tests(${target}
    TEST_PREFIX cuda.
    TEST_LIST ${target}_cuda_tests
    TEST_FILTER ${filter}
    PROPERTIES LABELS cuda ENVIRONMENT FUNNEL_TEST_DEVICE=cuda)
endfunction()
