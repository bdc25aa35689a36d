// SPDX-License-Identifier: Apache-2.0
// Stream capture and graphs. A graph is a list of work with its edges; launching it adds a copy of
// each piece to the stream's device, so streams' orders (lazy, newest) apply to graphs too.
#include <algorithm>
#include <memory>
#include <set>
#include <unordered_map>

#include "core/base/error.h"
#include "tests/cudacpu/runtime.h"

namespace funnel::cudacpu {
namespace {

struct Graph {
  std::vector<WorkPtr> nodes;  // each after all that it comes after
};

std::set<Graph*>& graphs() {
  static auto* all = new std::set<Graph*>;
  return *all;
}

std::set<Graph*>& executables() {
  static auto* all = new std::set<Graph*>;
  return *all;
}

Graph& find(std::set<Graph*>& all, void* handle) {
  auto* graph = static_cast<Graph*>(handle);
  if (!all.contains(graph)) misuse(cudaErrorInvalidValue, "no such graph");
  return *graph;
}

void destroy(std::set<Graph*>& all, void* handle) {
  Graph& graph = find(all, handle);
  all.erase(&graph);
  delete &graph;
}

// Whether everything that does something leads to the last work of the stream that began the
// capture.
bool joined(const Capture& capture, const WorkPtr& last) {
  std::set<const Work*> reached;
  std::vector<const Work*> path;
  if (last != nullptr) path.push_back(last.get());
  while (!path.empty()) {
    const Work* work = path.back();
    path.pop_back();
    if (!reached.insert(work).second) continue;
    for (const WorkPtr& one : work->after) path.push_back(one.get());
  }
  return std::all_of(capture.nodes.begin(), capture.nodes.end(), [&](const WorkPtr& node) {
    return node->run == nullptr || reached.contains(node.get());
  });
}

cudaGraph_t end_capture(Stream& stream) {
  const std::shared_ptr<Capture> capture = stream.capture;
  if (capture == nullptr || capture->origin != &stream) {
    misuse(cudaErrorStreamCaptureUnmatched, "the capture did not begin in this stream");
  }
  const bool all_joined = joined(*capture, stream.tail);
  for (Stream* one : capture->streams) {
    one->tail = std::move(one->before_capture);
    one->before_capture = nullptr;
    one->capture = nullptr;
  }
  capture->origin = nullptr;
  if (capture->invalid) refuse(cudaErrorStreamCaptureInvalidated);
  if (!all_joined) {
    misuse(cudaErrorStreamCaptureUnjoined,
           "a stream that joined the capture was not waited for by the one that began it");
  }
  auto* graph = new Graph{std::move(capture->nodes)};
  graphs().insert(graph);
  return reinterpret_cast<cudaGraph_t>(graph);
}

// Whether both do the same kind of work in the same order. A device asks more of nodes than that,
// for example that a kernel stays one.
bool same_shape(const Graph& a, const Graph& b) {
  if (a.nodes.size() != b.nodes.size()) return false;
  std::unordered_map<const Work*, const Work*> twins;
  for (size_t i = 0; i < a.nodes.size(); ++i) {
    const Work &x = *a.nodes[i], &y = *b.nodes[i];
    if ((x.run == nullptr) != (y.run == nullptr) || x.after.size() != y.after.size()) return false;
    for (size_t j = 0; j < x.after.size(); ++j) {
      const auto twin = twins.find(x.after[j].get());
      if (twin == twins.end() || twin->second != y.after[j].get()) return false;
    }
    twins.emplace(&x, &y);
  }
  return true;
}

void launch(Runtime& runtime, const Graph& graph, Stream& stream) {
  ++thread_calls().graph_launches;
  std::unordered_map<const Work*, WorkPtr> copies;
  const WorkPtr begin = runtime.add(stream, {}, nullptr);
  std::vector<WorkPtr> leaves;
  for (const WorkPtr& node : graph.nodes) {
    auto copy = runtime.loose(stream, {begin}, node->run);
    for (const WorkPtr& one : node->after) copy->after.push_back(copies.at(one.get()));
    runtime.place(*copy, runtime.chains.of_graph(stream.chain, node->order.stamp.chain));
    copies.emplace(node.get(), copy);
    runtime.run_if_eager(copy);
    leaves.push_back(copy);
  }
  runtime.add(stream, std::move(leaves), nullptr);
}

}  // namespace
}  // namespace funnel::cudacpu

using namespace funnel::cudacpu;

extern "C" {

cudaError_t cudaStreamBeginCapture(cudaStream_t handle, cudaStreamCaptureMode mode) {
  return api_call("cudaStreamBeginCapture", [&](Runtime& runtime) {
    Stream& stream = runtime.stream(handle);
    if (&stream == &runtime.device(stream.device).legacy) {
      misuse(cudaErrorStreamCaptureUnsupported, "the default stream cannot be captured");
    }
    if (stream.capture != nullptr) misuse(cudaErrorIllegalState, "already being captured");
    stream.capture = std::make_shared<Capture>();
    stream.capture->origin = &stream;
    stream.capture->mode = mode;
    stream.capture->thread = std::this_thread::get_id();
    stream.capture->streams.insert(&stream);
    stream.before_capture = std::move(stream.tail);
    stream.tail = nullptr;
  });
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  return api_call("cudaStreamEndCapture", [&](Runtime& runtime) {
    *graph = nullptr;
    *graph = end_capture(runtime.stream(stream));
  });
}

cudaError_t cudaStreamIsCapturing(cudaStream_t handle, cudaStreamCaptureStatus* status) {
  return api_call("cudaStreamIsCapturing", [&](Runtime& runtime) {
    const Stream& stream = runtime.stream(handle);
    *status = stream.capture == nullptr ? cudaStreamCaptureStatusNone
              : stream.capture->invalid ? cudaStreamCaptureStatusInvalidated
                                        : cudaStreamCaptureStatusActive;
  });
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph,
                                 unsigned long long) {
  return api_call("cudaGraphInstantiate", [&](Runtime&) {
    ++thread_calls().graph_instantiations;
    auto* made = new Graph(find(graphs(), graph));
    executables().insert(made);
    *executable = reinterpret_cast<cudaGraphExec_t>(made);
  });
}

// Launches that are under way keep what they were launched with.
cudaError_t cudaGraphExecUpdate(cudaGraphExec_t executable, cudaGraph_t graph,
                                cudaGraphExecUpdateResultInfo* result) {
  return api_call("cudaGraphExecUpdate", [&](Runtime&) {
    Graph& old = find(executables(), executable);
    const Graph& now = find(graphs(), graph);
    *result = {};
    result->result = cudaGraphExecUpdateSuccess;
    if (!same_shape(old, now)) {
      result->result = cudaGraphExecUpdateErrorTopologyChanged;
      refuse(cudaErrorGraphExecUpdateFailure);
    }
    old = now;
  });
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t handle) {
  return api_call("cudaGraphLaunch", [&](Runtime& runtime) {
    Stream& stream = runtime.stream(handle);
    if (stream.capture != nullptr) misuse(cudaErrorNotSupported, "a graph within a graph");
    launch(runtime, find(executables(), executable), stream);
    runtime.run_if_eager(stream.tail);
  });
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, size_t* count) {
  return api_call("cudaGraphGetNodes", [&](Runtime&) {
    if (nodes != nullptr) misuse(cudaErrorNotSupported, "only the number of nodes is simulated");
    *count = 0;
    for (const WorkPtr& node : find(graphs(), graph).nodes) *count += node->run != nullptr;
  });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  return api_call("cudaGraphDestroy", [&](Runtime&) { destroy(graphs(), graph); });
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  return api_call("cudaGraphExecDestroy", [&](Runtime&) { destroy(executables(), executable); });
}

}  // extern "C"
