// SPDX-License-Identifier: Apache-2.0
// Streams and events.
#include <algorithm>

#include "core/base/error.h"
#include "tests/cudacpu/runtime.h"

namespace funnel::cudacpu {
namespace {

cudaStream_t make_stream(Runtime& runtime, unsigned int flags, int priority) {
  if (flags != cudaStreamDefault && flags != cudaStreamNonBlocking) {
    misuse(cudaErrorInvalidValue, "no such flag");
  }
  auto made = std::make_unique<Stream>();
  made->device = current_device();
  made->blocking = flags == cudaStreamDefault;
  made->priority = std::clamp(priority, -5, 0);
  made->chain = runtime.chains.begin();
  runtime.streams.push_back(std::move(made));
  return reinterpret_cast<cudaStream_t>(runtime.streams.back().get());
}

cudaEvent_t make_event(Runtime& runtime, unsigned int flags) {
  if ((flags & ~(cudaEventBlockingSync | cudaEventDisableTiming)) != 0) {
    misuse(cudaErrorInvalidValue, "no such flag, or one that is not simulated");
  }
  auto* made = new Event;
  made->device = current_device();
  made->timing = (flags & cudaEventDisableTiming) == 0;
  runtime.events.insert(made);
  return reinterpret_cast<cudaEvent_t>(made);
}

// Host calls about a stream that is being captured would wait for work that never runs.
void check_not_capturing(Stream& stream) {
  if (stream.capture == nullptr) return;
  stream.capture->invalid = true;
  misuse(cudaErrorStreamCaptureUnsupported, "the stream is being captured");
}

const WorkPtr& recorded(const Event& event) {
  if (event.work != nullptr && event.work->capture != nullptr) {
    misuse(cudaErrorCapturedEvent, "the event was recorded in a stream that was being captured");
  }
  return event.work;
}

void wait_event(Runtime& runtime, Stream& stream, Event& event) {
  const WorkPtr& work = event.work;
  if (work == nullptr) return;  // never recorded: nothing to wait for
  if (work->capture == nullptr) {
    if (stream.capture != nullptr) {
      stream.capture->invalid = true;
      misuse(cudaErrorStreamCaptureIsolation,
             "a captured stream cannot wait for work outside the capture");
    }
    runtime.run_if_eager(runtime.add(stream, {work}, nullptr));
    return;
  }
  if (work->capture->origin == nullptr) {
    misuse(cudaErrorCapturedEvent, "the event was recorded in a capture that has ended");
  }
  if (stream.capture == nullptr) {  // the stream joins the capture
    stream.before_capture = stream.tail;
    stream.capture = work->capture;
    stream.capture->streams.insert(&stream);
    stream.tail = nullptr;
  } else if (stream.capture != work->capture) {
    misuse(cudaErrorStreamCaptureUnsupported, "two captures cannot wait for each other");
  }
  runtime.add(stream, {work}, nullptr);
}

}  // namespace
}  // namespace funnel::cudacpu

using namespace funnel::cudacpu;

extern "C" {

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  return api_call("cudaStreamCreate",
                  [&](Runtime& runtime) { *stream = make_stream(runtime, cudaStreamDefault, 0); });
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned int flags) {
  return api_call("cudaStreamCreateWithFlags",
                  [&](Runtime& runtime) { *stream = make_stream(runtime, flags, 0); });
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned int flags, int priority) {
  return api_call("cudaStreamCreateWithPriority",
                  [&](Runtime& runtime) { *stream = make_stream(runtime, flags, priority); });
}

// What is queued still runs, some time.
cudaError_t cudaStreamDestroy(cudaStream_t handle) {
  return api_call("cudaStreamDestroy", [&](Runtime& runtime) {
    if (handle == nullptr) misuse(cudaErrorInvalidResourceHandle, "the default stream stays");
    Stream& stream = runtime.stream(handle);
    check_not_capturing(stream);
    if (stream.tail != nullptr) runtime.device(stream.device).gone.join(stream.tail->order.clock);
    if (stream.tail != nullptr && !stream.tail->done) runtime.orphans.push_back(stream.tail);
    runtime.chains.end(stream.chain);
    std::erase_if(runtime.streams, [&](const auto& one) { return one.get() == &stream; });
  });
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
  return api_call("cudaStreamSynchronize", [&](Runtime& runtime) {
    Stream& stream = runtime.stream(handle);
    check_not_capturing(stream);
    const WorkPtr tail = stream.tail;
    runtime.wait(tail);
    // The legacy default stream also waits for the blocking streams.
    if (&stream == &runtime.device(stream.device).legacy) {
      runtime.wait(runtime.add(stream, {}, nullptr));
    }
  });
}

cudaError_t cudaStreamQuery(cudaStream_t handle) {
  return api_call("cudaStreamQuery", [&](Runtime& runtime) {
    Stream& stream = runtime.stream(handle);
    check_not_capturing(stream);
    if (!runtime.query(stream.tail)) refuse(cudaErrorNotReady);
  });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned int flags) {
  return api_call("cudaStreamWaitEvent", [&](Runtime& runtime) {
    if (flags != cudaEventWaitDefault) misuse(cudaErrorInvalidValue, "no such flag");
    wait_event(runtime, runtime.stream(stream), runtime.event(event));
  });
}

cudaError_t cudaStreamGetPriority(cudaStream_t stream, int* priority) {
  return api_call("cudaStreamGetPriority",
                  [&](Runtime& runtime) { *priority = runtime.stream(stream).priority; });
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* data) {
  return api_call("cudaLaunchHostFunc", [&](Runtime& runtime) {
    runtime.enqueue(runtime.stream(stream), [=, &runtime] {
      runtime.tell_host(running_order()->clock);  // it may tell other threads
      function(data);
      return true;
    });
  });
}

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return api_call("cudaEventCreate",
                  [&](Runtime& runtime) { *event = make_event(runtime, cudaEventDefault); });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned int flags) {
  return api_call("cudaEventCreateWithFlags",
                  [&](Runtime& runtime) { *event = make_event(runtime, flags); });
}

cudaError_t cudaEventDestroy(cudaEvent_t handle) {
  return api_call("cudaEventDestroy", [&](Runtime& runtime) {
    Event& event = runtime.event(handle);
    runtime.events.erase(&event);
    delete &event;
  });
}

cudaError_t cudaEventRecord(cudaEvent_t handle, cudaStream_t stream) {
  return api_call("cudaEventRecord", [&](Runtime& runtime) {
    Event& event = runtime.event(handle);
    Stream& on = runtime.stream(stream);
    if (event.device != on.device) {
      misuse(cudaErrorInvalidResourceHandle, "the event and the stream are of different devices");
    }
    event.work = runtime.enqueue(on, nullptr);
  });
}

cudaError_t cudaEventRecordWithFlags(cudaEvent_t event, cudaStream_t stream, unsigned int flags) {
  if (flags == cudaEventRecordDefault) return cudaEventRecord(event, stream);
  return api_call("cudaEventRecordWithFlags",
                  [](Runtime&) { misuse(cudaErrorNotSupported, "external events"); });
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return api_call("cudaEventSynchronize", [&](Runtime& runtime) {
    const WorkPtr work = recorded(runtime.event(event));
    runtime.wait(work);
  });
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  return api_call("cudaEventQuery", [&](Runtime& runtime) {
    if (!runtime.query(recorded(runtime.event(event)))) refuse(cudaErrorNotReady);
  });
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  return api_call("cudaEventElapsedTime", [&](Runtime& runtime) {
    const Event& first = runtime.event(start);
    const Event& second = runtime.event(end);
    if (!first.timing || !second.timing) {
      misuse(cudaErrorInvalidResourceHandle, "an event was made without timing");
    }
    const WorkPtr& begin = recorded(first);
    const WorkPtr& finish = recorded(second);
    if (begin == nullptr || finish == nullptr) {
      misuse(cudaErrorInvalidResourceHandle, "an event was never recorded");
    }
    if (!begin->done || !finish->done) refuse(cudaErrorNotReady);
    *milliseconds =
        std::chrono::duration<float, std::milli>(finish->finished - begin->finished).count();
  });
}

}  // extern "C"
