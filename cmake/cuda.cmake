# SPDX-License-Identifier: Apache-2.0
# The CUDA compiler and its libraries. Machine code for A100 (sm_80, which later members of the
# family run too) and H100 (sm_90), and uncompressed PTX: for devices to come, and for the tests,
# which interpret it.
if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES "80-real;90-real;80-virtual")
endif()
set(CMAKE_CUDA_HOST_COMPILER ${CMAKE_CXX_COMPILER})
# Libraries are linked with the runtime that each executable names, never with one of CMake's choice.
set(CMAKE_CUDA_RUNTIME_LIBRARY None)

include(CheckLanguage)
check_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER)
  message(FATAL_ERROR "FUNNEL_CUDA=ON: found no nvcc; install the CUDA toolkit (13.0 or later), set "
                      "CUDACXX to its nvcc, or configure with -DFUNNEL_CUDA=OFF")
endif()
enable_language(CUDA)
if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 13.0)
  message(FATAL_ERROR "FUNNEL_CUDA=ON: expected CUDA 13.0 or later, found nvcc "
                      "${CMAKE_CUDA_COMPILER_VERSION} (${CMAKE_CUDA_COMPILER})")
endif()
find_package(CUDAToolkit 13.0 REQUIRED)
# CMake 3.25 does not know that nvcc has C++20.
set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
set(CMAKE_CUDA_STANDARD 20)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
set(CMAKE_CUDA_EXTENSIONS OFF)
# Not 20011 and 20014: a body that is compiled for both sides calls what each side has.
string(APPEND CMAKE_CUDA_FLAGS
  " -lineinfo --no-compress --expt-relaxed-constexpr -diag-suppress=20011,20014")
if(FUNNEL_CCACHE)
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${FUNNEL_CCACHE})
endif()

find_path(FUNNEL_NCCL_INCLUDE nccl.h HINTS ${CUDAToolkit_INCLUDE_DIRS} REQUIRED)
find_library(FUNNEL_NCCL_LIBRARY nccl HINTS ${CUDAToolkit_LIBRARY_DIR} REQUIRED)
add_library(funnel_cuda_runtime INTERFACE)
target_link_libraries(funnel_cuda_runtime INTERFACE CUDA::cudart CUDA::cublasLt
                      ${FUNNEL_NCCL_LIBRARY})
# A program that computes nothing loads none of them.
target_link_options(funnel_cuda_runtime INTERFACE LINKER:--as-needed)
